package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// steps are the system calls by which an agent changes something that outlives it: netlink, files, and those of changes
// below. An agent is killed at one of these, since between two of them nothing happens that could be cut short.
var steps = []uint32{unix.SYS_SENDTO, unix.SYS_FSYNC, unix.SYS_RENAMEAT, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT}

// changes are the commands of bpf(2) that change maps, programs, links and pins.
var changes = []uint32{
	unix.BPF_MAP_CREATE, unix.BPF_MAP_UPDATE_ELEM, unix.BPF_MAP_DELETE_ELEM, unix.BPF_MAP_UPDATE_BATCH, unix.BPF_MAP_DELETE_BATCH,
	unix.BPF_PROG_LOAD, unix.BPF_OBJ_PIN, unix.BPF_LINK_CREATE, unix.BPF_LINK_UPDATE,
}

// Shapes of the kernel's seccomp interface (include/uapi/linux/seccomp.h).
type (
	seccompData struct {
		Number       int32
		Architecture uint32
		Instruction  uint64
		Arguments    [6]uint64
	}
	seccompNotice struct {
		ID    uint64
		PID   uint32
		Flags uint32
		Data  seccompData
	}
	seccompAnswer struct {
		ID    uint64
		Value int64
		Error int32
		Flags uint32
	}
)

const goOn = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE

// dieAt has the kernel stop this process at each step from now on and kills it before the n-th (from 1).
func dieAt(n uint64) error {
	fd, err := watchSteps()
	if err != nil {
		return fmt.Errorf("watch system calls: %w", err)
	}
	go func() {
		runtime.LockOSThread() // none of what it calls is a step
		for seen := uint64(0); ; {
			var notice seccompNotice
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&notice)))
			if errors.Is(errno, unix.EINTR) || errors.Is(errno, unix.ENOENT) {
				continue // the caller was interrupted and comes again
			}
			if seen++; errno != 0 || seen >= n {
				_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			}
			answer := seccompAnswer{ID: notice.ID, Flags: goOn}
			_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&answer)))
		}
	}()
	return nil
}

// watchSteps sets a filter for all threads and returns the file that tells of steps.
func watchSteps() (fd int, err error) {
	const load, equal, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	pass, tell := unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW}, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_USER_NOTIF}
	among := func(numbers []uint32) (list []unix.SockFilter) { // tells of these and lets the others pass
		for i, n := range numbers {
			list = append(list, unix.SockFilter{Code: equal, K: n, Jt: uint8(len(numbers) - i)})
		}
		return append(list, pass, tell)
	}
	data := seccompData{}
	calls := among(steps)
	filter := append([]unix.SockFilter{
		{Code: load, K: uint32(unsafe.Offsetof(data.Number))},
		{Code: equal, K: unix.SYS_BPF, Jt: uint8(len(calls))},
	}, calls...)
	filter = append(filter, unix.SockFilter{Code: load, K: uint32(unsafe.Offsetof(data.Arguments))}) // the lower half of the command
	filter = append(filter, among(changes)...)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}
