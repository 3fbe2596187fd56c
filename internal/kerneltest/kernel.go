// Package kerneltest says what a test may expect of the kernel that it runs on.
//
// # The world it models
//
// Weftnet runs on kernels from 6.1 on, and some of what it uses came later. A test of such a thing cannot run before it
// came, nor where the kernel was built without it and says so; but where it should be there and is not found, something
// is wrong (a probe, a module that is not loaded), and a test that is left out would hide it.
//
// # Invariant
//
// A test is left out only on a kernel that is older than the feature, or whose own configuration says that the feature
// is not set. On any other kernel a feature that is not found fails the test.
//
// # Example
//
//	kerneltest.Needs(t, kerneltest.Netkit, probe.Netkit())
package kerneltest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Feature is something that not every kernel has.
type Feature struct {
	Name         string
	Major, Minor int    // the version that brought it
	Option       string // of the kernel's configuration, if it can be left out
}

// Features that tests need.
var (
	TCX     = Feature{Name: "tcx", Major: 6, Minor: 6, Option: "CONFIG_NET_XGRESS"}
	Netkit  = Feature{Name: "netkit", Major: 6, Minor: 8, Option: "CONFIG_NETKIT"}
	VLAN    = Feature{Name: "VLAN devices", Major: 2, Minor: 6, Option: "CONFIG_VLAN_8021Q"}
	Geneve  = Feature{Name: "Geneve devices", Major: 3, Minor: 18, Option: "CONFIG_GENEVE"}
	Bridge  = Feature{Name: "VLANs of bridges", Major: 3, Minor: 9, Option: "CONFIG_VLAN_8021Q"} // which filtering needs
	IPVLAN  = Feature{Name: "ipvlan devices", Major: 3, Minor: 19, Option: "CONFIG_IPVLAN"}
	VRF     = Feature{Name: "VRF devices", Major: 4, Minor: 3, Option: "CONFIG_NET_VRF"}
	Dummy   = Feature{Name: "dummy devices", Major: 2, Minor: 6, Option: "CONFIG_DUMMY"}
	Destroy = Feature{Name: "an end for sockets of others", Major: 4, Minor: 9, Option: "CONFIG_INET_DIAG_DESTROY"}
)

// Needs goes on where the kernel has a feature. Where it cannot have it the test is left out, else it fails.
func Needs(t testing.TB, f Feature, has bool) {
	t.Helper()
	if has {
		return
	}
	skip, why, err := Lacks(f)
	switch {
	case err != nil:
		t.Fatal(err)
	case skip:
		t.Skip(why)
	default:
		t.Fatal(why)
	}
}

// Lacks says of a feature that is not there whether the kernel cannot have it, and why a test is left out or fails for that.
func Lacks(f Feature) (skip bool, why string, err error) {
	release, err := running()
	if err != nil {
		return false, "", err
	}
	config, err := configuration(release)
	if err != nil {
		return false, "", err
	}
	return judge(f, release, config)
}

// Series is the version of the kernel without its last number, such as 6.12.
func Series(t testing.TB) string {
	t.Helper()
	release, err := running()
	if err != nil {
		t.Fatal(err)
	}
	major, minor, err := version(release)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d.%d", major, minor)
}

// judge says what becomes of a test whose feature is not there. config is that of the kernel, empty if it is not known.
func judge(f Feature, release, config string) (skip bool, why string, err error) {
	major, minor, err := version(release)
	if err != nil {
		return false, "", err
	}
	if major < f.Major || major == f.Major && minor < f.Minor {
		return true, fmt.Sprintf("kernel %s has no %s, which came with %d.%d", release, f.Name, f.Major, f.Minor), nil
	}
	if strings.Contains("\n"+config, "\n# "+f.Option+" is not set\n") {
		return true, fmt.Sprintf("kernel %s was built without %s (%s)", release, f.Name, f.Option), nil
	}
	return false, fmt.Sprintf("kernel %s shows no %s, which came with %d.%d: is its module loaded, and is the probe right?", release, f.Name, f.Major, f.Minor), nil
}

func running() (release string, err error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("ask for the kernel's release: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}

// configuration is what the kernel was built with, where it or its package says so; else empty.
func configuration(release string) (string, error) {
	text, err := os.ReadFile("/boot/config-" + release)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return string(text), err
	}
	f, err := os.Open("/proc/config.gz")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", fmt.Errorf("read /proc/config.gz: %w", err)
	}
	text, err = io.ReadAll(z)
	return string(text), err
}

// version reads the first two numbers of a release as uname -r has it.
func version(release string) (major, minor int, err error) {
	if n, err := fmt.Sscanf(release, "%d.%d", &major, &minor); n != 2 {
		return 0, 0, fmt.Errorf("kernel release %q does not begin with two numbers: %w", release, err)
	}
	return major, minor, nil
}
