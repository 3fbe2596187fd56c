package kerneltest

import "testing"

func TestOnlyAKernelThatCannotHaveAFeatureLeavesItsTestOut(t *testing.T) {
	const without = "CONFIG_A=y\n# CONFIG_NETKIT is not set\nCONFIG_B=m\n"
	for _, c := range []struct {
		release, config string
		skip            bool
	}{
		{"5.15.0-101-generic", "", true},
		{"6.1.0-28-amd64", "", true},
		{"6.7.12", "CONFIG_NETKIT=y\n", true},
		{"6.8.0", "", false},
		{"6.8.0", without, true},
		{"6.12.9+deb13-cloud-amd64", "CONFIG_NETKIT=y\n", false},
		{"6.18.44-custom-v2", "# CONFIG_NETKIT_MORE is not set\n", false},
		{"7.0-rc1", "", false},
		{"10.2", "", false},
	} {
		skip, why, err := judge(Netkit, c.release, c.config)
		if err != nil {
			t.Fatal(err)
		}
		if skip != c.skip {
			t.Errorf("on %s the test is left out: %v (%s)", c.release, skip, why)
		}
	}
}

func TestAReleaseWithoutNumbersIsAnError(t *testing.T) {
	for _, release := range []string{"", "linux", "6", "6.x"} {
		if _, why, err := judge(TCX, release, ""); err == nil {
			t.Errorf("%q is understood: %s", release, why)
		}
	}
}
