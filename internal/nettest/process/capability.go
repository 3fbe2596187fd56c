package process

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// capabilities are the numbers of those that agents are tried with, by the names that Kubernetes has for them.
var capabilities = map[string]int{
	"BPF": unix.CAP_BPF, "PERFMON": unix.CAP_PERFMON, "NET_ADMIN": unix.CAP_NET_ADMIN, "SYS_ADMIN": unix.CAP_SYS_ADMIN,
	"DAC_OVERRIDE": unix.CAP_DAC_OVERRIDE, "NET_RAW": unix.CAP_NET_RAW, "NONE": -1,
}

// confine begins this process anew, as root with no capabilities but those of its role, no way to gain any, and under what
// runtimes forbid every container by seccomp.
func (r Role) confine() error {
	var keep []int
	for _, name := range r.Capabilities {
		number, ok := capabilities[name]
		if !ok {
			return fmt.Errorf("there is no capability %q here", name)
		}
		keep = append(keep, number)
	}
	runtime.LockOSThread() // the set is that of the thread which begins the program anew
	for number := range unix.CAP_LAST_CAP + 1 {
		if slices.Contains(keep, number) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(number), 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", number, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up to gain privileges: %w", err)
	}
	if err := refuse(); err != nil {
		return err
	}
	r.Capabilities = nil
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, Environment+"=") })
	return syscall.Exec("/proc/self/exe", os.Args, append(env, Environment+"="+string(text)))
}
