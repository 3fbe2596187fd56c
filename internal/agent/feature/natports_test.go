package feature

import "testing"

func TestMasqueradeTakesTheWidestRangeThatTheHostGivesToNoSocket(t *testing.T) {
	for _, c := range []struct {
		local, reserved string
		low, high       uint16
	}{
		{"32768\t60999", "", 1024, 29999},
		{"32768 60999", "8080,9000-9100", 9101, 29999},
		{"1024 65000", "", 65001, 65535},
		{"", "", 1024, 29999},
	} {
		low, high := natPorts(c.local, c.reserved)
		if low != c.low || high != c.high {
			t.Errorf("local %q reserved %q: ports %d-%d, want %d-%d", c.local, c.reserved, low, high, c.low, c.high)
		}
	}
}
