package cni_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/pkg/types"

	"weftnet.io/weftnet/internal/source/cni"
)

func TestTheConfigurationIsOneThatRuntimesRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net.d")
	if err := cni.WriteConf(dir, cni.Conf{Socket: "/run/weft.sock", LogFile: "/var/log/weft-cni.log"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, cni.ConfName)
	got, _ := os.ReadFile(path)
	want := `{
  "cniVersion": "1.0.0",
  "name": "weft",
  "plugins": [
    {
      "log-file": "/var/log/weft-cni.log",
      "socket": "/run/weft.sock",
      "type": "weft-cni"
    },
    {
      "capabilities": {
        "portMappings": true
      },
      "snat": true,
      "type": "portmap"
    }
  ]
}
`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
	var list types.NetConfList
	if err := json.Unmarshal(got, &list); err != nil || len(list.Plugins) != 2 || list.Name != "weft" || !list.Plugins[1].Capabilities["portMappings"] {
		t.Errorf("a runtime reads %v, %v", list, err)
	}
}

func TestPortmapIsLeftOutWhereTheNodesProgramsLeadHostPortsOn(t *testing.T) {
	dir := t.TempDir()
	read := func(c cni.Conf) (list types.NetConfList) {
		t.Helper()
		if err := cni.WriteConf(dir, c); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, cni.ConfName))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := read(cni.Conf{HostPorts: true}); len(list.Plugins) != 1 || list.Plugins[0].Type != "weft-cni" || !list.Plugins[0].Capabilities["portMappings"] {
		t.Errorf("programs lead hostPorts on: %+v", list.Plugins)
	}
	if list := read(cni.Conf{}); len(list.Plugins) != 2 || list.Plugins[0].Capabilities["portMappings"] || list.Plugins[1].Type != "portmap" {
		t.Errorf("they do not any more: %+v", list.Plugins)
	}
}

func TestAConfigurationThatIsRightIsLeftAloneAndOthersAreToo(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "10-other.conflist")
	if err := os.WriteFile(other, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(c cni.Conf) os.FileInfo {
		if err := cni.WriteConf(dir, c); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, cni.ConfName))
		if err != nil || info.Mode() != 0o644 {
			t.Fatalf("%v, %v", info, err)
		}
		return info
	}
	first, second, third := write(cni.Conf{}), write(cni.Conf{}), write(cni.Conf{Type: "cilium-cni"})
	if !os.SameFile(first, second) || os.SameFile(second, third) {
		t.Error("an equal configuration was written anew, or another one was not")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 2 {
		t.Errorf("the folder holds %v", files)
	}
}

func TestWhoComesFirstCalls(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, text string
		multus     bool
	}{
		{"05-weft.conflist", `{"plugins": [{"type": "weft-cni"}]}`, false},
		{"99-multus.conf", `{"type": "multus"}`, false},
		{"02-broken.conf", `{`, false},
		{"01-notes.txt", `{"type": "multus"}`, false},
		{"00-multus.conf", `{"type": "multus-shim"}`, true},
	} {
		if err := os.WriteFile(filepath.Join(dir, c.name), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := cni.MultusConf(dir) != ""; got != c.multus {
			t.Errorf("with %s: %v", c.name, got)
		}
	}
	if cni.MultusConf("") != "" {
		t.Error("where no configuration is kept")
	}
}
