package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Main does the Job and ends the machine.
func Main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "weft-vm: guest:", err) // the console
	} else if err := write(PortCode, code); err != nil {
		fmt.Fprintln(os.Stderr, "weft-vm: guest: tell the exit code:", err)
	}
	err = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	fmt.Fprintln(os.Stderr, "weft-vm: guest: restart:", err)
	select {}
}

func run() (int, error) {
	text, err := os.ReadFile("/" + JobFile)
	if err != nil {
		return 0, fmt.Errorf("read what to do: %w", err)
	}
	var job Job
	if err := json.Unmarshal(text, &job); err != nil {
		return 0, fmt.Errorf("read what to do: %w", err)
	}
	if err := mountAll([]mount{{"proc", "/proc", "proc", "", 0}, {"sysfs", "/sys", "sysfs", "", 0}, {"dev", "/dev", "devtmpfs", "", 0}}); err != nil {
		return 0, err
	}
	if err := insert("/" + ModulesDir); err != nil {
		return 0, err
	}
	if err := enter(job); err != nil {
		return 0, err
	}
	if err := unix.Sethostname([]byte("vm")); err != nil {
		return 0, fmt.Errorf("set host name: %w", err)
	}
	if err := loopbackUp(); err != nil {
		return 0, fmt.Errorf("set lo up: %w", err)
	}
	return execute(job)
}

// insert loads all modules of a folder in the order of their names.
func insert(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list modules: %w", err)
	}
	for _, f := range files {
		module, err := os.Open(filepath.Join(dir, f.Name()))
		if err != nil {
			return fmt.Errorf("open module: %w", err)
		}
		err = unix.FinitModule(int(module.Fd()), "", 0)
		module.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load module %s: %w", f.Name(), err)
		}
	}
	return nil
}

// mount is the arguments of mount(2).
type mount struct {
	source, target, kind, options string
	flags                         uintptr
}

func mountAll(list []mount) error {
	for _, m := range list {
		if err := os.MkdirAll(m.target, 0o755); err != nil {
			return fmt.Errorf("make mount point: %w", err)
		}
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mount %s at %s (%s, %s): %w", m.source, m.target, m.kind, m.options, err)
		}
	}
	return nil
}

const nineP = "trans=virtio,version=9p2000.L,msize=512000,"

// enter makes the host's root file system, below a layer in memory, this process's root.
func enter(job Job) error {
	if err := mountAll([]mount{{RootTag, "/host", "9p", nineP + "cache=loose", unix.MS_RDONLY}, {"layer", "/layer", "tmpfs", "size=80%", 0}}); err != nil {
		return err
	}
	for _, dir := range []string{"/layer/upper", "/layer/work", "/root"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make layer: %w", err)
		}
	}
	const root = "/root"
	list := []mount{
		{"overlay", root, "overlay", "lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work", 0},
		{"/proc", root + "/proc", "", "", unix.MS_MOVE},
		{"/sys", root + "/sys", "", "", unix.MS_MOVE},
		{"/dev", root + "/dev", "", "", unix.MS_MOVE},
		{"devpts", root + "/dev/pts", "devpts", "", 0},
		{"shm", root + "/dev/shm", "tmpfs", "", 0},
		{"run", root + "/run", "tmpfs", "mode=755", 0},
		{"cgroup", root + "/sys/fs/cgroup", "cgroup2", "", 0},
		{"bpf", root + "/sys/fs/bpf", "bpf", "", 0},
		{"debug", root + "/sys/kernel/debug", "debugfs", "", 0},
		{"trace", root + "/sys/kernel/tracing", "tracefs", "", 0},
		{"/host" + job.Modules, root + "/lib/modules/" + job.Release, "", "", unix.MS_BIND},
	}
	for tag, dir := range job.Shared {
		list = append(list, mount{tag, root + dir, "9p", nineP + "cache=none", 0})
	}
	if err := mountAll(list); err != nil {
		return err
	}
	if err := os.MkdirAll(root+"/run/lock", 0o755); err != nil {
		return fmt.Errorf("make /run/lock: %w", err)
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("enter the host's root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the host's root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	return os.Chdir("/")
}

// execute runs the command and gives its exit code, that of a shell if a signal ended it.
func execute(job Job) (int, error) {
	out, err := port(PortOut)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	os.Clearenv()
	for _, pair := range job.Env {
		name, value, _ := strings.Cut(pair, "=")
		_ = os.Setenv(name, value) // the host's environment held it
	}
	for _, name := range job.Load {
		if text, err := exec.Command("modprobe", name).CombinedOutput(); err != nil {
			fmt.Fprintf(out, "weft-vm: kernel %s has no module %s: %s", job.Release, name, text)
			return 1, nil
		}
	}
	program, err := exec.LookPath(job.Args[0])
	if err != nil {
		fmt.Fprintln(out, "weft-vm:", err)
		return 127, nil
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	child, err := syscall.ForkExec(program, job.Args, &syscall.ProcAttr{
		Dir: job.Dir, Env: os.Environ(), Files: []uintptr{null.Fd(), out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		fmt.Fprintf(out, "weft-vm: start %s in %s: %v\n", program, job.Dir, err)
		return 126, nil
	}
	for { // process 1 also takes in the orphans of others
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for the command: %w", err)
		case pid == child && status.Signaled():
			return 128 + int(status.Signal()), nil
		case pid == child:
			return status.ExitStatus(), nil
		}
	}
}

// port opens a virtio serial port by its name.
func port(name string) (*os.File, error) {
	files, _ := filepath.Glob("/sys/class/virtio-ports/*/name")
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && strings.TrimSpace(string(text)) == name {
			return os.OpenFile("/dev/"+filepath.Base(filepath.Dir(f)), os.O_WRONLY, 0)
		}
	}
	return nil, fmt.Errorf("the machine has no serial port %q (of %d)", name, len(files))
}

func write(name string, code int) error {
	p, err := port(name)
	if err != nil {
		return err
	}
	if _, err := p.WriteString(strconv.Itoa(code)); err != nil {
		return err
	}
	return p.Close()
}

// loopbackUp is `ip link set lo up`.
func loopbackUp() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(socket), unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(request))); e != 0 {
		return e
	}
	return nil
}
