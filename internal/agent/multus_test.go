package agent

import (
	"strings"
	"testing"
)

func TestStatusSaysWhoAttachesFurtherNICs(t *testing.T) {
	for _, c := range []struct {
		conf string
		pods int
		want string
	}{
		{"", 0, ""},
		{"/etc/cni/net.d/00-multus.conf", 0, "/etc/cni/net.d/00-multus.conf comes first"},
		{"/etc/cni/net.d/00-multus.conf", 7, "those of 7 pods"},
		{"", 7, "Multus has called for 7 pods"},
	} {
		got, there := multus(c.conf, c.pods)
		if there != (c.want != "") || !strings.Contains(got.Message, c.want) {
			t.Errorf("%+v: %v %s", c, there, got.Message)
		}
	}
}
