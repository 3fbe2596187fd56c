package feature

import "testing"

func TestMasqueradeTakesTheWidestRangeThatTheHostGivesToNoSocket(t *testing.T) {
	for _, c := range []struct {
		local, reserved string
		first, last     uint16 // node port
		low, high       uint16
	}{
		{"32768\t60999", "", 30000, 32767, 1024, 29999},
		{"32768 60999", "8080,9000-9100", 30000, 32767, 9101, 29999},
		{"1024 65000", "", 30000, 32767, 65001, 65535},
		{"", "", 30000, 32767, 1024, 29999},
		{"", "", 20000, 22000, 1024, 19999},
		{"", "", 2000, 4000, 4001, 32767},
	} {
		low, high := natPorts(c.local, c.reserved, c.first, c.last)
		if low != c.low || high != c.high {
			t.Errorf("local %q reserved %q node ports %d-%d: ports %d-%d, want %d-%d", c.local, c.reserved, c.first, c.last, low, high, c.low, c.high)
		}
	}
}
