package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"weftnet.io/weftnet/test/vm/guest"
)

// Command is what a machine runs, as root.
type Command struct {
	Args    []string
	Dir     string        // working directory; empty: this one
	Env     []string      // whole environment; nil: this one
	Load    []string      // modules that are loaded before
	Shared  []string      // folders of the host that are written through; all others forget
	Out     io.Writer     // output and errors
	Timeout time.Duration // 0: none but the context's
	MiB     int           // of memory; 0: 2048
}

// parameters of the kernel. An oops and a panic end the machine (panic=-1 restarts at once, -no-reboot makes that the end);
// the watchdogs would take a busy host for a hang.
const parameters = "console=ttyS0 quiet loglevel=4 oops=panic panic=-1 reboot=t nokaslr mitigations=off audit=0 apparmor=0 " +
	"random.trust_cpu=on tsc=reliable no_timer_check nowatchdog 8250.nr_uarts=1 cryptomgr.notests rcupdate.rcu_expedited=1 " +
	"net.ifnames=0 init_on_alloc=0"

// accelerator: one host thread takes the machine's processors in turns. With one each (thread=multi) QEMU 7.2 runs stale
// translations of code that the kernel patches while it runs (static keys), which ends in "Oops: int3".
const accelerator = "tcg,thread=single,tb-size=512"

// Run boots a kernel, runs a command and gives its exit code. An error says that there is none, and why.
func Run(ctx context.Context, k Kernel, c Command) (int, error) {
	dir, err := os.MkdirTemp("", "weft-vm-")
	if err != nil {
		return 0, fmt.Errorf("make a folder for the run: %w", err)
	}
	defer os.RemoveAll(dir)
	job := guest.Job{Args: c.Args, Dir: c.Dir, Env: c.Env, Load: c.Load, Modules: k.Modules, Release: k.Release, Shared: map[string]string{}}
	if job.Dir == "" {
		if job.Dir, err = os.Getwd(); err != nil {
			return 0, err
		}
	}
	if job.Env == nil {
		job.Env = os.Environ()
	}
	for i, shared := range c.Shared {
		job.Shared["shared"+strconv.Itoa(i)] = shared
	}
	image, err := initrd(k, job)
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(dir+"/initrd", image, 0o600); err != nil {
		return 0, err
	}
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("it did not end within %v", c.Timeout))
		defer cancel()
	}
	failed := start(ctx, dir, k, c, job)
	text, err := os.ReadFile(dir + "/code")
	if err != nil && failed == nil {
		failed = err
	}
	if code, err := strconv.Atoi(string(text)); err == nil {
		return code, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		failed = cause
	} else if failed == nil {
		failed = errors.New("it ended without an exit code")
	}
	return 0, fmt.Errorf("machine with kernel %s: %w; its console's last lines:\n%s", k.Release, failed, console(dir))
}

// start runs QEMU to its end.
func start(ctx context.Context, dir string, k Kernel, c Command, job guest.Job) error {
	mib := c.MiB
	if mib == 0 {
		mib = 2048
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "pc,usb=off",
		"-accel", accelerator, "-cpu", "max", "-smp", "2", "-m", strconv.Itoa(mib), "-nic", "none",
		"-kernel", k.Image, "-initrd", dir + "/initrd", "-append", parameters, "-serial", "file:" + dir + "/console",
		"-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
		"-chardev", "stdio,id=out,signal=off", "-device", "virtserialport,chardev=out,name=" + guest.PortOut,
		"-chardev", "file,id=code,path=" + dir + "/code", "-device", "virtserialport,chardev=code,name=" + guest.PortCode,
	}
	args = append(args, share(guest.RootTag, "/", ",readonly=on")...)
	for _, tag := range slices.Sorted(maps.Keys(job.Shared)) {
		args = append(args, share(tag, job.Shared[tag], "")...)
	}
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	qemu.WaitDelay = 5 * time.Second
	var complaint strings.Builder
	qemu.Stdout, qemu.Stderr = c.Out, &complaint
	stdin, err := qemu.StdinPipe() // open all the time: its end would close the port
	if err != nil {
		return err
	}
	defer stdin.Close()
	err = qemu.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w: run tools/setup as root", err)
	}
	if err != nil {
		return fmt.Errorf("qemu: %w: %s", err, complaint.String())
	}
	return nil
}

func share(tag, dir, options string) []string {
	return []string{
		"-fsdev", "local,id=" + tag + ",path=" + dir + ",security_model=none,multidevs=remap" + options,
		"-device", "virtio-9p-pci,fsdev=" + tag + ",mount_tag=" + tag,
	}
}

// trouble is how the kernel begins to say that something is wrong with it.
var trouble = regexp.MustCompile(`Oops|BUG:|kernel BUG|int3:|general protection|Kernel panic|Call Trace`)

// console is the end of what the kernel said, and before it where trouble began.
func console(dir string) string {
	const head, tail = 15, 40
	text, err := os.ReadFile(filepath.Join(dir, "console"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	end := max(0, len(lines)-tail)
	if first := slices.IndexFunc(lines[:end], trouble.MatchString); first >= 0 {
		begin := lines[first:min(end, first+head)]
		return strings.Join(append(slices.Concat(begin, []string{"…"}), lines[end:]...), "\n")
	}
	return strings.Join(lines[end:], "\n")
}
