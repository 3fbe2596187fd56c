// Package guest is what runs as process 1 of a test machine: it turns an empty kernel into this host and runs one command.
//
// # The world it models
//
// The machine has no disk. Its initial RAM file system holds the program itself as /init, the kernel modules that reaching
// the host's files takes, and a Job. The host's root file system comes over 9p, read-only, under a layer in memory: the
// command sees the host's programs and folders, writes what it likes, and nothing of it is ever seen outside. Proc, sys,
// cgroups, the BPF file system and /run are the machine's own. Only the folders in Job.Shared are written through.
//
//	initial RAM file system      the command's root
//	/init     this program       /              the host's root below a layer in memory
//	/modules  NN-NAME.ko         /lib/modules   the machine's kernel, from the host's cache
//	/job      the Job (JSON)     /dev /proc /sys /run   of the machine
//
// # Invariants
//
//   - What the command prints goes to the virtio port "out", its exit code to the port "code", as decimal text; if
//     there is none the machine did not get so far. The console belongs to the kernel and to what goes wrong here.
//   - The machine restarts when the command has ended, which QEMU was told to take for the end.
//
// # Example
//
//	if os.Getpid() == 1 {
//		guest.Main() // does not return
//	}
package guest

// Names of virtio serial ports and 9p shares, and places in the initial RAM file system.
const (
	PortOut    = "out"
	PortCode   = "code"
	RootTag    = "root"
	ModulesDir = "modules"
	JobFile    = "job"
)

// Job is what a machine is started for.
type Job struct {
	Args    []string          // the command; its program is looked up in PATH of Env
	Dir     string            // working directory
	Env     []string          // whole environment, NAME=VALUE
	Load    []string          // modules loaded before, by name
	Modules string            // folder of the host that becomes /lib/modules/Release
	Release string            // of the kernel (uname -r)
	Shared  map[string]string // 9p share: folder of the host that is written through, at the same place
}
