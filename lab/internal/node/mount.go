package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"weftnet.io/weftnet/lab/internal/cgroup"
	"weftnet.io/weftnet/lab/internal/topology"
)

// mounter performs mounts until one fails, then does nothing more; err says which.
type mounter struct{ err error }

func (m *mounter) mount(source, target, fstype string, flags uintptr, data string) {
	if m.err != nil {
		return
	}
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		m.err = fmt.Errorf("mount %s %s on %s: %w", fstype, source, target, err)
	}
}

func (m *mounter) dir(path string) {
	if m.err == nil {
		m.err = os.MkdirAll(path, 0o755)
	}
}

// bind shows source at target, both created if need be.
func (m *mounter) bind(source, target string, flags uintptr) {
	m.dir(source)
	m.dir(target)
	m.mount(source, target, "", unix.MS_BIND|flags, "")
}

func (m *mounter) text(path, content string) {
	if m.err != nil {
		return
	}
	// The machine's file may be a link into what the node does not have.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.err = err
		return
	}
	m.err = os.WriteFile(path, []byte(content), 0o644)
}

// enterRoot builds the node's root file system and moves into it. It must run in a fresh mount namespace.
func (s Spec) enterRoot() error {
	root := filepath.Join(s.Dir(), "root")
	var m mounter
	m.mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	m.dir(root)
	m.mount("tmpfs", root, "tmpfs", 0, "mode=755")
	s.showMachine(&m, root)
	s.showKernel(&m, root)
	for path, own := range map[string]string{"/var/lib/kubelet": "kubelet", "/var/lib/containerd": "containerd", "/var/log": "log", "/opt/cni": "cni"} {
		m.bind(filepath.Join(s.Dir(), own), root+path, 0)
	}
	m.bind(s.Lab, root+s.Lab, 0)
	if m.err != nil {
		return m.err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	// pivot_root(2): with both arguments ".", the old root ends up mounted over the new one, and detaching it uncovers the new one.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the machine's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	// Pods mount host paths with propagation, so everything is shared, within the node only.
	m.mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
	s.writeEtc(&m)
	s.hideMachineSysctls(&m)
	return m.err
}

// showMachine mounts what the node uses of the machine, and makes the folders every Debian has.
func (s Spec) showMachine(m *mounter, root string) {
	for _, d := range []string{
		"/dev", "/proc", "/sys", "/root", "/home", "/mnt", "/media", "/srv", "/boot", "/run/lock", "/run/netns",
		"/var/lib", "/var/cache", "/var/spool", "/opt",
	} {
		m.dir(root + d)
	}
	for _, d := range []string{"/tmp", "/var/tmp"} {
		m.dir(root + d)
		if m.err == nil {
			m.err = os.Chmod(root+d, os.ModeSticky|0o777)
		}
	}
	for link, target := range map[string]string{"/var/run": "/run", "/var/lock": "/run/lock"} {
		if m.err == nil {
			m.err = os.Symlink(target, root+link)
		}
	}
	for _, d := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		target, err := os.Readlink(d)
		switch {
		case err == nil && m.err == nil:
			m.err = os.Symlink(target, root+d)
		case errors.Is(err, fs.ErrNotExist):
		default:
			m.copyOnWrite(d, root)
		}
	}
	m.copyOnWrite("/etc", root)
}

// copyOnWrite shows a folder of the machine below root; what the node changes in it stays in memory. A pod may well change /usr: the
// runtime makes host paths that are missing, such as /lib/modules on a machine whose kernel has none.
func (m *mounter) copyOnWrite(dir, root string) {
	changes, work := root+"/.changes"+dir, root+"/.work"+dir
	m.dir(root + dir)
	m.dir(changes)
	m.dir(work)
	m.mount(filepath.Base(dir), root+dir, "overlay", 0, "lowerdir="+dir+",upperdir="+changes+",workdir="+work)
}

// showKernel mounts the kernel's file systems: devices and cgroups are the machine's, the others belong to the node's namespaces.
func (s Spec) showKernel(m *mounter, root string) {
	m.mount("/dev", root+"/dev", "", unix.MS_BIND|unix.MS_REC, "")
	m.mount("shm", root+"/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
	m.mount("proc", root+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	m.mount("sysfs", root+"/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	m.mount("/sys/fs/cgroup", root+"/sys/fs/cgroup", "", unix.MS_BIND|unix.MS_REC, "")
	m.group(s.Name, root+topology.CgroupMount)
	m.mount("bpf", root+"/sys/fs/bpf", "bpf", 0, "mode=700")
}

// group shows the node's own control group, where programs that the node attaches see its processes and those of its pods.
func (m *mounter) group(name, at string) {
	h, err := cgroup.Detect()
	if err != nil {
		if m.err == nil {
			m.err = err
		}
		return
	}
	m.dir(at)
	m.mount(filepath.Join(h.Unified, CgroupRoot(name)), at, "", unix.MS_BIND, "")
}

// writeEtc gives the node its name, peers and resolver.
func (s Spec) writeEtc(m *mounter) {
	resolver := ""
	for _, ip := range s.DNS {
		resolver += "nameserver " + ip.String() + "\n"
	}
	m.text("/etc/resolv.conf", resolver)
	m.text("/etc/hostname", s.Name+"\n")
	m.text("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"+strings.Join(s.Peers, "\n")+"\n")
	m.dir("/etc/cni/net.d")
	m.dir("/etc/kubernetes/manifests")
	m.dir("/opt/cni/bin")
}

// machineSysctls are values kubelet insists on and would set on the machine. The node gets files that hold them instead.
var machineSysctls = map[string]string{
	"kernel/panic": "10", "kernel/panic_on_oops": "1", "vm/overcommit_memory": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

func (s Spec) hideMachineSysctls(m *mounter) {
	for key, value := range machineSysctls {
		file := "/run/sysctl/" + strings.ReplaceAll(key, "/", ".")
		m.dir(filepath.Dir(file))
		m.text(file, value+"\n")
		m.mount(file, "/proc/sys/"+key, "", unix.MS_BIND, "")
	}
}

// forward makes the node a router, as every Kubernetes node is. These sysctls belong to its network namespace.
func forward() error {
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		err := os.WriteFile("/proc/sys/"+key, []byte("1"), 0o644)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a machine may have no IPv6
			return fmt.Errorf("set %s: %w", key, err)
		}
	}
	return nil
}

// CgroupSystem is the group of the node's own processes, CgroupRoot the one kubelet puts pods below.
func CgroupSystem(name string) string { return topology.CgroupName + "/" + name + "/system" }

// CgroupRoot see CgroupSystem.
func CgroupRoot(name string) string { return topology.CgroupName + "/" + name }
