package machine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Cache is a folder of kernels.
type Cache struct{ Dir string }

// Kernel is an unpacked kernel.
type Kernel struct {
	Release string // as uname -r says it
	Image   string // ELF
	Modules string // the folder of its modules; they are not compressed
}

// keep are the folders of modules, below kernel/, that a network or the machine itself may ask for.
var keep = []string{
	"arch/", "crypto/", "lib/", "net/", "mm/", "fs/9p/", "fs/netfs/", "fs/overlayfs/", "fs/fuse/", "drivers/virtio/", "drivers/char/",
	"drivers/net/veth", "drivers/net/vxlan/", "drivers/net/geneve", "drivers/net/netkit", "drivers/net/dummy", "drivers/net/ifb",
	"drivers/net/tun", "drivers/net/tap", "drivers/net/macvlan", "drivers/net/macvtap", "drivers/net/ipvlan/", "drivers/net/vrf",
	"drivers/net/bonding/", "drivers/net/wireguard/", "drivers/net/net_failover", "drivers/net/virtio_net", "drivers/net/netdevsim/",
}

// Kernel gives a kernel of a series such as 6.12. What the cache lacks is downloaded with apt-get, the newest first.
func (c Cache) Kernel(ctx context.Context, series string) (Kernel, error) {
	if !regexp.MustCompile(`^[0-9]+\.[0-9]+$`).MatchString(series) {
		return Kernel{}, fmt.Errorf("kernel %q: want the first two numbers of a version, as in 6.12", series)
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return Kernel{}, fmt.Errorf("make kernel cache: %w", err)
	}
	unlock, err := c.lock()
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	dir := filepath.Join(c.Dir, series)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := c.fetch(ctx, series, dir); err != nil {
			return Kernel{}, fmt.Errorf("fetch kernel %s: %w", series, err)
		}
	}
	release, err := os.ReadFile(filepath.Join(dir, "release"))
	if err != nil {
		return Kernel{}, fmt.Errorf("read kernel cache: %w (remove %s to fetch it anew)", err, dir)
	}
	return Kernel{
		Release: string(release), Image: filepath.Join(dir, "vmlinux"), Modules: filepath.Join(dir, "lib/modules", string(release)),
	}, nil
}

// lock keeps others from making the same kernel.
func (c Cache) lock() (func(), error) {
	f, err := os.Create(filepath.Join(c.Dir, ".lock"))
	if err != nil {
		return nil, fmt.Errorf("lock kernel cache: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock kernel cache: %w", err)
	}
	return func() { f.Close() }, nil
}

// fetch downloads and unpacks a kernel into dir.
func (c Cache) fetch(ctx context.Context, series, dir string) error {
	names, err := output(ctx, "apt-cache", "pkgnames", "linux-image-"+series)
	if err != nil {
		return err
	}
	name := newest(strings.Fields(string(names)), series)
	if name == "" {
		return fmt.Errorf("the package lists know no linux-image-%s…-amd64: run apt-get update, or add the Debian release that has it to /etc/apt", series)
	}
	work, err := os.MkdirTemp(c.Dir, ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	download := exec.CommandContext(ctx, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name)
	download.Dir = work
	if text, err := download.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download %s: %w\n%s", name, err, text)
	}
	packages, _ := filepath.Glob(work + "/*.deb")
	if len(packages) != 1 {
		return fmt.Errorf("apt-get download %s left %d packages", name, len(packages))
	}
	if _, err := output(ctx, "dpkg-deb", "-x", packages[0], work+"/x"); err != nil {
		return err
	}
	made := work + "/made"
	if err := convert(ctx, work+"/x", strings.TrimPrefix(name, "linux-image-"), made); err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	return os.Rename(made, dir)
}

// newest is the package of the greatest version of a series, of the plain flavour, signed as Debian ships it.
func newest(names []string, series string) string {
	pattern := regexp.MustCompile(`^linux-image-` + regexp.QuoteMeta(series) + `[.-][0-9][0-9.]*([-+~][a-z0-9~]*[0-9])?-amd64$`)
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !pattern.MatchString(n) })
	if len(names) == 0 {
		return ""
	}
	return slices.MaxFunc(names, func(a, b string) int { return slices.Compare(numbers(a), numbers(b)) })
}

// numbers are those in a text, in order.
func numbers(text string) (list []int) {
	for _, digits := range regexp.MustCompile(`[0-9]+`).FindAllString(text, -1) {
		n, _ := strconv.Atoi(digits)
		list = append(list, n)
	}
	return list
}

// convert makes a Kernel's folder of an unpacked package.
func convert(ctx context.Context, root, release, dir string) error {
	modules := filepath.Join(root, "lib/modules", release)
	if _, err := os.Stat(modules); err != nil {
		modules = filepath.Join(root, "usr/lib/modules", release) // from Debian 13 on
	}
	if err := os.MkdirAll(filepath.Join(dir, "lib/modules"), 0o755); err != nil {
		return err
	}
	image, err := os.ReadFile(filepath.Join(root, "boot/vmlinuz-"+release))
	if err != nil {
		return err
	}
	elf, err := vmlinux(ctx, image)
	if err != nil {
		return fmt.Errorf("vmlinuz-%s: %w", release, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "vmlinux"), elf, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "release"), []byte(release), 0o644); err != nil {
		return err
	}
	final := filepath.Join(dir, "lib/modules", release)
	if err := os.Rename(modules, final); err != nil {
		return err
	}
	if err := os.Remove(final + "/build"); err != nil && !errors.Is(err, fs.ErrNotExist) { // points to headers that are not there
		return err
	}
	if _, err := output(ctx, "depmod", "-b", dir, release); err != nil {
		return err
	}
	if err := thin(ctx, final); err != nil {
		return err
	}
	_, err = output(ctx, "depmod", "-b", dir, release)
	return err
}

// thin removes modules that are neither kept nor needed by those that are, and decompresses the others: under emulation
// that takes seconds each.
func thin(ctx context.Context, dir string) error {
	table, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		file, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		if slices.ContainsFunc(keep, func(p string) bool { return strings.HasPrefix(file, "kernel/"+p) }) {
			for _, f := range append(strings.Fields(needs), file) {
				kept[f] = true
			}
		}
	}
	var packed []string
	err = filepath.WalkDir(filepath.Join(dir, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if rel, _ := filepath.Rel(dir, path); !kept[rel] {
			return os.Remove(path)
		}
		if strings.HasSuffix(path, ".xz") {
			packed = append(packed, path)
		}
		return nil
	})
	if err != nil || len(packed) == 0 {
		return err
	}
	_, err = output(ctx, "xz", append([]string{"-dq", "--"}, packed...)...)
	return err
}

// vmlinux is the ELF file inside a bzImage (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length).
func vmlinux(ctx context.Context, image []byte) ([]byte, error) {
	if len(image) < 0x250 || string(image[0x202:0x206]) != "HdrS" {
		return nil, errors.New("is not a kernel image for x86")
	}
	setup := int(cmp.Or(image[0x1f1], 4))
	start := (setup+1)*512 + int(binary.LittleEndian.Uint32(image[0x248:]))
	end := start + int(binary.LittleEndian.Uint32(image[0x24c:]))
	if end > len(image) || end-start < 8 {
		return nil, errors.New("is cut short")
	}
	payload := image[start:end]
	var tool *exec.Cmd
	switch {
	case bytes.HasPrefix(payload, []byte("\x28\xb5\x2f\xfd")):
		payload = payload[:len(payload)-4] // the size, which is not zstd's
		tool = exec.CommandContext(ctx, "zstd", "-dcq")
	case bytes.HasPrefix(payload, []byte("\xfd7zXZ\x00")):
		tool = exec.CommandContext(ctx, "xz", "-dcq", "--single-stream")
	default:
		return nil, fmt.Errorf("is compressed in a way not known here (%x)", payload[:6])
	}
	var stderr bytes.Buffer
	tool.Stdin, tool.Stderr = bytes.NewReader(payload), &stderr
	elf, err := tool.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", tool.Args[0], err, stderr.Bytes())
	}
	if !bytes.HasPrefix(elf, []byte("\x7fELF")) {
		return nil, errors.New("holds no ELF file")
	}
	return elf, nil
}

// output runs a tool of the host.
func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("%w: run tools/setup as root", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", name, err, stderr.Bytes())
	}
	return out, nil
}
