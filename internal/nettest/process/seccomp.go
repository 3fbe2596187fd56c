package process

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refused is what the default seccomp profiles of container runtimes refuse to a container that has SYS_ADMIN and NET_ADMIN, as
// far as every architecture has it.
var refused = []uint32{
	unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_ACCT, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_SWAPON, unix.SYS_SWAPOFF,
	unix.SYS_REBOOT, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_KCMP, unix.SYS_USERFAULTFD,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE,
	unix.SYS_MBIND, unix.SYS_SET_MEMPOLICY, unix.SYS_GET_MEMPOLICY, unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
}

// refuse has these calls fail from now on, for this thread and what it executes.
func refuse() error {
	const load, jumpIfEqual, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	const allow, errno, setFilter = 0x7fff0000, 0x00050000, 1
	filter := []unix.SockFilter{{Code: load}} // the number of the call is at offset 0
	for _, call := range refused {
		filter = append(filter, unix.SockFilter{Code: jumpIfEqual, Jf: 1, K: call}, unix.SockFilter{Code: give, K: errno | uint32(unix.EPERM)})
	}
	filter = append(filter, unix.SockFilter{Code: give, K: allow})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, err := unix.Syscall(unix.SYS_SECCOMP, setFilter, 0, uintptr(unsafe.Pointer(&program))); err != 0 {
		return fmt.Errorf("refuse system calls: %w", err)
	}
	return nil
}
