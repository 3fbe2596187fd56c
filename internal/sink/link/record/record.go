// Package record keeps what the kernel's settings of a node were before Weftnet changed them, so that uninstalling gives them back.
//
// # The world it models
//
// A record is a file of the node: each setting that the agent changes, or that the kernel changes along, with its value of before, and the
// start of the machine in which that was read. After the next start the node is as its own files say.
//
// # Invariants
//
//   - A record of this start of the machine is never written over: an agent that restarts would take its own settings for those of before.
//   - Settings of devices that Weftnet makes are not in it: they go with their devices.
//
// # Example
//
//	err := record.Remember("/proc", "/var/lib/weft/settings-before.json")
//	changed, err := record.Restore("/proc", "/var/lib/weft/settings-before.json")
package record

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// record is the file.
type record struct {
	Boot     string            `json:"boot"`     // of the machine, when this was read: after the next the node is as its own files say
	Settings map[string]string `json:"settings"` // by path below /proc/sys/net
}

// dependent are settings that the kernel changes along with those of scope node of package link, and those that its PrepareNode looks at
// itself (inet_forward_change in net/ipv4/devinet.c, addrconf_fixup_forwarding in net/ipv6/addrconf.c).
var dependent = []string{
	"ipv4/ip_forward", "ipv4/conf/*/forwarding", "ipv4/conf/*/accept_redirects",
	"ipv6/conf/*/forwarding", "ipv6/conf/*/accept_ra",
}

// Boot tells this start of the machine from all others. The kernel says the same in every container, and below /proc
// alone: where a container sees the host's settings there may be no more than these.
func Boot() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("tell this start of the machine from others: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Remember writes down what the settings are, unless that has been done since the machine was started. Empty path: nowhere.
func Remember(proc, path string) error {
	if path == "" {
		return nil
	}
	boot, err := Boot()
	if err != nil {
		return err
	}
	r := record{Boot: boot, Settings: map[string]string{}}
	old, err := readRecord(path)
	if err == nil && old.Boot == r.Boot {
		return nil
	}
	root := filepath.Join(proc, "sys/net")
	for _, pattern := range dependent {
		files, _ := filepath.Glob(filepath.Join(root, pattern)) // the pattern is fine
		for _, f := range files {
			value, err := os.ReadFile(f)
			if err != nil {
				continue // its device has gone
			}
			name, _ := filepath.Rel(root, f) // it is below
			r.Settings[name] = strings.TrimSpace(string(value))
		}
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'))
}

func readRecord(path string) (r record, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read %s, which says what the node's settings were: %w", path, err)
	}
	return r, nil
}

// writeFile puts a file in place whole.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}

// Restore gives the node the settings back that Remember has written down at path, those of all devices first: they
// change the others along. Without the file it does nothing, and says so. It returns what it has changed, a line each.
func Restore(proc, path string) (changed []string, err error) {
	proc = cmp.Or(proc, "/proc")
	r, err := readRecord(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if boot, err := Boot(); err != nil || boot != r.Boot {
		return nil, err // the machine has been started anew since, and nothing has been changed yet
	}
	rank := func(name string) int {
		switch {
		case name == "ipv4/ip_forward":
			return 0
		case strings.Contains(name, "/all/"):
			return 1
		case strings.Contains(name, "/default/"):
			return 2
		}
		return 3
	}
	var errs []error
	names := make([]string, 0, len(r.Settings))
	for name := range r.Settings {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	for _, name := range names {
		file := filepath.Join(proc, "sys/net", name)
		have, err := os.ReadFile(file)
		if err != nil {
			continue // its device has gone
		}
		if is := strings.TrimSpace(string(have)); is != r.Settings[name] {
			if err := os.WriteFile(file, []byte(r.Settings[name]), 0o644); err != nil {
				errs = append(errs, fmt.Errorf("set %s back to %s: %w", name, r.Settings[name], err))
				continue
			}
			changed = append(changed, fmt.Sprintf("%s is %s again", name, r.Settings[name]))
		}
	}
	return changed, errors.Join(errs...)
}
