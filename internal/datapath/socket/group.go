package socket

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ofHost is where a container has files of its host.
const ofHost = "/host"

// Find gives the directory of the control group that programs are put on: the one that is asked for, in a container the host's of that
// name first, or else the outermost one that is mounted. Instead says why it is not the one that is asked for.
func Find(asked string) (dir, instead string, err error) {
	if asked != "" {
		if not2(ofHost+asked) == "" {
			return ofHost + asked, "", nil
		}
		if instead = not2(asked); instead == "" {
			return asked, "", nil
		}
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", instead, fmt.Errorf("find where control groups are mounted: %w", err)
	}
	if dir = outermost(string(text)); dir == "" {
		return "", instead, errors.New("no control groups of version 2 are mounted here, says /proc/self/mountinfo: mount -t cgroup2 cgroup2 /sys/fs/cgroup, or in a container that of the host")
	}
	return dir, instead, nil
}

// not2 says why a directory is no control group of version 2; empty: it is one.
func not2(dir string) string {
	var fs unix.Statfs_t
	switch err := unix.Statfs(dir, &fs); {
	case err != nil:
		return fmt.Sprintf("%s: %v", dir, err)
	case fs.Type != unix.CGROUP2_SUPER_MAGIC:
		return dir + " is no control group of version 2"
	}
	return ""
}

// outermost gives the mount point of the control group that is above the others, of those that a text like /proc/self/mountinfo names
// (proc(5)). A container that has a view of its own sees its own group as /, and one of the host that it was given as what lies
// above, /../..; any other sees paths from the root.
func outermost(mountinfo string) (at string) {
	least := math.MaxInt
	for line := range strings.Lines(mountinfo) {
		mount, kind, _ := strings.Cut(line, " - ")
		f := strings.Fields(mount)
		if len(f) < 5 || !strings.HasPrefix(kind, "cgroup2 ") {
			continue
		}
		if depth := depthOf(f[3]); depth < least {
			at, least = unescape.Replace(f[4]), depth
		}
	}
	return at
}

// depthOf is how far below the root of the reader's view a group is; less than 0: above it.
func depthOf(group string) (depth int) {
	for part := range strings.SplitSeq(strings.Trim(group, "/"), "/") {
		switch part {
		case "":
		case "..":
			depth--
		default:
			depth++
		}
	}
	return depth
}

// unescape undoes what the kernel does to characters that separate fields.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
