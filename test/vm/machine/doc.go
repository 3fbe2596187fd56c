// Package machine boots other kernels: it fetches a kernel of Debian, starts QEMU on it without hardware virtualisation and
// runs a command there on the host's files (see package guest).
//
// # The world it models
//
// A Kernel is a Debian package unpacked into a cache of ours, never installed: the host's /boot and /lib/modules are not
// touched. The package's image is unpacked to a plain ELF file, which QEMU starts through PVH with no boot loader and no
// decompression in the guest, and of the modules those that a network may need are kept, uncompressed too.
//
//	CACHE/6.12/release           6.12.117+deb12-amd64
//	CACHE/6.12/vmlinux
//	CACHE/6.12/lib/modules/6.12.117+deb12-amd64/
//
// A folder of the cache is complete or not there: it is made beside and renamed. What is there is used, also without a
// network; remove it to fetch the newest of that series.
//
// # Invariants
//
//   - A machine that panics, hangs or ends without an exit code is an error that carries the last lines of its console.
//   - An oops is a panic, so that a kernel that stumbled never counts as a kernel that passed.
//   - Nothing outlives Run: QEMU is killed with its context, and the folder of the run is removed.
//
// # Example
//
//	kernel, err := machine.Cache{Dir: "/var/tmp/weft-vm"}.Kernel(ctx, "6.1")
//	code, err := machine.Run(ctx, kernel, machine.Command{Args: []string{"uname", "-r"}, Out: os.Stdout})
package machine
