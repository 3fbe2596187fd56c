// Package machine looks at the Linux machine the lab is to run on, before anything is changed on it, and says in words what is
// missing. All problems are found at once, so that they need not be fixed one by one.
package machine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/lab/internal/cgroup"
)

// programs the lab runs or puts into images, and the Debian package each comes in.
var programs = []struct{ program, pkg string }{
	{"busybox", "busybox-static"},
	{"conntrack", "conntrack"},
	{"curl", "curl"},
	{"dig", "bind9-dnsutils"},
	{"gcc", "gcc"},
	{"ip", "iproute2"},
	{"iperf", "iperf"},
	{"ipset", "ipset"},
	{"iptables", "iptables"},
	{"mount", "mount"},
	{"nc.openbsd", "netcat-openbsd"},
	{"nft", "nftables"},
	{"pkg-config", "pkg-config"},
	{"socat", "socat"},
	{"ss", "iproute2"},
	{"wget", "wget"},
}

// files of packages that have no program.
var files = []struct{ path, pkg string }{
	{"/usr/include/seccomp.h", "libseccomp-dev"},
	{"/usr/include/stdlib.h", "libc6-dev"},
}

const (
	diskBuild  = 12 << 30 // Go module and build cache, binaries, images, three nodes
	diskRun    = 4 << 30
	memory     = 3 << 30
	searchPath = "PATH"
)

// Check returns nil, or an error of one line per problem. dir is the lab directory; built says that nothing needs compiling.
func Check(dir string, built bool) error {
	var problems []error
	add := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	// sbin is missing from the path of many logins
	os.Setenv(searchPath, os.Getenv(searchPath)+":/usr/local/sbin:/usr/sbin:/sbin")
	add(packages())
	_, err := cgroup.Detect()
	add(err)
	if !built {
		if _, err := exec.LookPath("go"); err != nil {
			add(errors.New("no Go tool in PATH: install Go 1.26 or later from https://go.dev/dl"))
		}
	}
	need := uint64(diskRun)
	if !built {
		need = diskBuild
	}
	add(diskSpace(dir, need))
	add(memorySize())
	add(bridgeFirewall())
	return errors.Join(problems...)
}

// Root fails for everybody but root.
func Root() error {
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root: it makes network namespaces, mounts and cgroups (try sudo)")
	}
	return nil
}

// bridgeFirewall notices a machine that filters what its bridges forward, as one with Docker does. Nodes could not reach each other.
func bridgeFirewall() error {
	b, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-iptables")
	if err != nil || strings.TrimSpace(string(b)) != "1" {
		return nil //nolint:nilerr // br_netfilter is not loaded
	}
	rules, err := exec.Command("iptables", "-S", "FORWARD").Output()
	if err != nil || !strings.Contains(string(rules), "-P FORWARD DROP") {
		return nil //nolint:nilerr // no such firewall
	}
	return errors.New("this machine's firewall drops what bridges forward, so nodes could not reach each other (Docker sets this up): " +
		"run `sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0`")
}

func packages() error {
	var missing []string
	seen := map[string]bool{}
	note := func(pkg string) {
		if !seen[pkg] {
			seen[pkg] = true
			missing = append(missing, pkg)
		}
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p.program); err != nil {
			note(p.pkg)
		}
	}
	for _, f := range files {
		if _, err := os.Stat(f.path); err != nil {
			note(f.pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("missing Debian packages: run tools/setup, or: apt-get install -y --no-install-recommends %s", strings.Join(missing, " "))
}

func diskSpace(dir string, need uint64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("look at disk of %s: %w", dir, err)
	}
	if st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return fmt.Errorf("%s is on an overlay file system, as in a container, and containers need a plain one: choose another folder with --dir", dir)
	}
	if free := st.Bavail * uint64(st.Bsize); free < need {
		return fmt.Errorf("%s has %.1f GiB free, the lab needs %d: free some, or choose another disk with --dir", dir, float64(free)/(1<<30), need>>30)
	}
	return nil
}

func memorySize() error {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "MemAvailable:" {
			continue
		}
		kib, err := strconv.ParseUint(f[1], 10, 64)
		if err != nil {
			return fmt.Errorf("read /proc/meminfo: %w", err)
		}
		if kib<<10 < memory {
			return fmt.Errorf("%.1f GiB of memory are available, the lab needs %d", float64(kib)/(1<<20), memory>>30)
		}
	}
	return nil
}

// PortsFree fails when another program listens where the control plane will.
func PortsFree(addrs ...string) error {
	var problems []error
	for _, a := range addrs {
		l, err := net.Listen("tcp", a)
		if errors.Is(err, unix.EADDRINUSE) {
			problems = append(problems, fmt.Errorf("another program listens on %s, which the lab's control plane needs (find it with: ss -ltnp)", a))
			continue
		}
		if err == nil {
			l.Close()
		}
	}
	return errors.Join(problems...)
}

// inotify is the kernel's limit of file watchers per user. Debian's 128 do not last for three nodes and their pods.
const (
	inotify     = "/proc/sys/fs/inotify/max_user_instances"
	inotifyNeed = 1024
)

// RaiseWatchLimit raises the limit if it is low. It returns the value found, which RestoreWatchLimit takes.
func RaiseWatchLimit(remember func(old int) error) error {
	old, err := watchLimit()
	if err != nil || old >= inotifyNeed {
		return err
	}
	if err := remember(old); err != nil {
		return err
	}
	if err := os.WriteFile(inotify, []byte(strconv.Itoa(inotifyNeed)), 0o644); err != nil {
		return fmt.Errorf("raise the limit of file watchers: %w", err)
	}
	return nil
}

// RestoreWatchLimit puts the limit back to old, unless it was changed since.
func RestoreWatchLimit(old int) error {
	now, err := watchLimit()
	if err != nil || now != inotifyNeed {
		return err
	}
	return os.WriteFile(inotify, []byte(strconv.Itoa(old)), 0o644)
}

func watchLimit() (int, error) {
	b, err := os.ReadFile(inotify)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
