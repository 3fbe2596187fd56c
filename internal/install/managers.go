package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// deviceNames match the names of devices that Weftnet makes (attach.HostName, attach.TunnelDevice, attach.GeneveDevice): what systemd and
// NetworkManager have in common are the wildcards * and ?.
var deviceNames = []string{"weft_vxlan", "weft_geneve", "weft??????????"}

// unmanaged are the files that tell the network managers of a host to leave Weftnet's devices alone, by path below /run.
// Theirs to configure are all devices that no file excludes: with a catch-all [Match] of its owner systemd-networkd gives
// each an address and drops its neighbours, and NetworkManager deletes its routes when no DHCP server answers.
func unmanaged() map[string]string {
	const head = "# Written by weft-agent, removed by weft uninstall: devices of Weftnet are its own.\n"
	systemd := strings.Join(deviceNames, " ")
	return map[string]string{
		// A file of the same kind that sorts before it wins, so it sorts before all that people write.
		"systemd/network/00-weft.network": head + "[Match]\nName=" + systemd + "\n\n[Link]\nUnmanaged=yes\n",
		"systemd/network/00-weft.link":    head + "[Match]\nOriginalName=" + systemd + "\n\n[Link]\nMACAddressPolicy=none\n",
		// A section [device-…] comes before [device], and += adds to what others exclude.
		"NetworkManager/conf.d/weft.conf": head + "[device-weft]\nmatch-device=interface-name:" + strings.Join(deviceNames, ",interface-name:") +
			"\nmanaged=0\n\n[keyfile]\nunmanaged-devices+=interface-name:" + strings.Join(deviceNames, ";interface-name:") + "\n",
	}
}

// TellManagers leaves word for systemd-networkd, systemd-udevd and NetworkManager below run, the host's /run, which forgets
// when the machine ends. They read it when they start or reload; files that are right already are not written. Empty: none is told.
func TellManagers(run string) error {
	if run == "" {
		return nil
	}
	var errs []error
	for name, text := range unmanaged() {
		path := filepath.Join(run, name)
		if have, err := os.ReadFile(path); err == nil && string(have) == text {
			continue
		}
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path+".tmp", []byte(text), 0o644) // no manager reads a name like that
		}
		if err == nil {
			err = os.Rename(path+".tmp", path)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("tell the host's network managers to leave our devices alone: %w", err)
	}
	return nil
}

// forgetManagers takes back what TellManagers has said, and the folders that nothing else is in. It tells what it did.
func forgetManagers(run string) (did []string, err error) {
	if run == "" {
		return nil, nil
	}
	var errs []error
	for name := range unmanaged() {
		path := filepath.Join(run, name)
		switch err := os.Remove(path); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			errs = append(errs, err)
			continue
		}
		did = append(did, "removed "+path)
		for dir := filepath.Dir(path); dir != filepath.Clean(run); dir = filepath.Dir(dir) {
			if os.Remove(dir) != nil {
				break // others have something there
			}
		}
	}
	return did, errors.Join(errs...)
}
