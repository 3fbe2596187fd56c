package cni

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestVersion(t *testing.T) {
	s := begin(t)
	for _, plugin := range []string{"weft-cni", "cilium-cni"} {
		info, err := s.lib.GetVersionInfo(t.Context(), plugin)
		if err != nil || !slices.Equal(info.SupportedVersions(), versions) {
			t.Errorf("%s: %v, %v", plugin, info, err)
		}
		for _, v := range versions {
			capabilities, err := s.lib.ValidateNetworkList(t.Context(), s.list(v, plugin, "", ""))
			slices.Sort(capabilities)
			if err != nil || !slices.Equal(capabilities, []string{"ips", "mac"}) {
				t.Errorf("%s %s: %v, %v", plugin, v, capabilities, err)
			}
		}
	}
}

func TestEachVersionFromAddToDel(t *testing.T) {
	s := begin(t)
	for _, plugin := range []string{"weft-cni", "cilium-cni"} {
		for i, v := range versions {
			list, p := s.list(v, plugin, "", ""), s.pod(fmt.Sprint(plugin, i))
			rt := of(p, "eth0")
			r := s.add(list, rt)
			got := s.addresses(r, "eth0", p.Path())
			if len(got) != 2 || !got[0].Is4() || !got[1].Is6() {
				t.Errorf("%s %s: addresses %v", plugin, v, got)
			}
			if err := p.Do(func() error { return has("eth0", got...) }); err != nil {
				t.Errorf("%s %s: %v", plugin, v, err)
			}
			if again := s.add(list, rt); !reflect.DeepEqual(again, r) {
				t.Errorf("%s %s: ADD once more gives %+v, and gave %+v", plugin, v, again, r)
			}
			if err := s.lib.CheckNetworkList(t.Context(), list, rt); (err != nil) != (v == "0.3.1") { // which has no CHECK
				t.Errorf("%s %s: CHECK: %v", plugin, v, err)
			}
			for range 2 { // the second time the runtime has forgotten what ADD said
				if err := s.lib.DelNetworkList(t.Context(), list, rt); err != nil {
					t.Errorf("%s %s: DEL: %v", plugin, v, err)
				}
			}
			if err := p.Forget(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.nothing()
}

// has fails unless a device of the caller's namespace has these addresses.
func has(device string, want ...netip.Addr) error {
	l, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	list, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, a := range want {
		if !slices.ContainsFunc(list, func(x netlink.Addr) bool { return x.IP.Equal(a.AsSlice()) }) {
			return fmt.Errorf("%s has not %s: %v", device, a, list)
		}
	}
	return nil
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	s := begin(t)
	list, p := s.list("1.1.0", "cilium-cni", "", ""), s.pod("web")
	rt := of(p, "eth0")
	r := s.add(list, rt)
	v4 := s.addresses(r, "eth0", p.Path())[0]
	check := func(what string, broken bool) {
		t.Helper()
		if err := s.lib.CheckNetworkList(t.Context(), list, rt); (err != nil) != broken || broken && code(err) == 0 {
			t.Errorf("%s: CHECK: %v", what, err)
		}
	}
	change := func(do func(l netlink.Link, a *netlink.Addr) error) {
		t.Helper()
		err := p.Do(func() error {
			l, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			a, err := netlink.ParseAddr(v4.String() + "/32")
			if err != nil {
				return err
			}
			return do(l, a)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check("as it was made", false)
	change(netlink.AddrDel)
	check("an address is gone", true)
	if err := s.lib.DelNetworkList(t.Context(), list, rt); err != nil {
		t.Error(err)
	}
	check("after DEL", true)
	s.nothing()
}

func TestDelNeedsNothing(t *testing.T) {
	s := begin(t)
	list := s.list("1.1.0", "weft-cni", "", "")
	never := of(s.pod("never"), "eth0")
	if err := s.lib.DelNetworkList(t.Context(), list, never); err != nil {
		t.Errorf("of what was never added: %v", err)
	}
	p := s.pod("web")
	rt := of(p, "eth0")
	s.add(list, rt)
	without := *rt
	without.NetNS = ""
	if err := s.runtime("another").DelNetworkList(t.Context(), list, &without); err != nil {
		t.Errorf("without a namespace, by a runtime that knows nothing: %v", err)
	}
	s.add(list, rt)
	p.Close()
	rt.NetNS = filepath.Join(s.dir, "gone")
	if err := s.lib.DelNetworkList(t.Context(), list, rt); err != nil {
		t.Errorf("of a namespace that is gone: %v", err)
	}
	s.Stop()
	if err := s.lib.DelNetworkList(t.Context(), list, never); err != nil {
		t.Errorf("without an agent: %v", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	s.nothing()
}

func TestInterfacesOfAContainerAreApart(t *testing.T) {
	s := begin(t)
	list, p := s.list("1.0.0", "cilium-cni", "", ""), s.pod("web")
	first, second := of(p, "eth0"), of(p, "eth1")
	one, two := s.addresses(s.add(list, first), "eth0", p.Path()), s.addresses(s.add(list, second), "eth1", p.Path())
	if slices.ContainsFunc(one, func(a netip.Addr) bool { return slices.Contains(two, a) }) {
		t.Errorf("eth0 has %v, and eth1 %v", one, two)
	}
	if err := s.lib.DelNetworkList(t.Context(), list, second); err != nil {
		t.Error(err)
	}
	if err := p.Do(func() error { return has("eth0", one...) }); err != nil {
		t.Error(err)
	}
	if err := s.lib.CheckNetworkList(t.Context(), list, first); err != nil {
		t.Errorf("eth0 after DEL of eth1: %v", err)
	}
	if err := s.lib.DelNetworkList(t.Context(), list, first); err != nil {
		t.Error(err)
	}
	s.nothing()
}

// TestErrorsAreObjects makes calls that no runtime's library would.
func TestErrorsAreObjects(t *testing.T) {
	s := begin(t)
	p := s.pod("web")
	good := map[string]string{
		"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_NETNS": p.Path(), "CNI_IFNAME": "eth0", "CNI_PATH": "/",
		"CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web",
	}
	config := string(s.list("1.1.0", "weft-cni", "", "").Plugins[0].Bytes)
	config = strings.Replace(config, "{", `{"cniVersion":"1.1.0","name":"net",`, 1)
	for _, x := range []struct {
		name, key, value string
		config           string
		code             uint
	}{
		{"a version that is not", "", "", strings.Replace(config, "1.1.0", "9.9.9", 1), types.ErrIncompatibleCNIVersion},
		{"a field that is wrong", "", "", strings.Replace(config, "{", `{"ipam":{"type":"host-local"},`, 1), types.ErrInvalidNetworkConfig},
		{"no name", "", "", strings.Replace(config, `"name":"net",`, "", 1), types.ErrInvalidNetworkConfig},
		{"a container that is not there", "CNI_COMMAND", "CHECK", strings.Replace(config, "{", `{"prevResult":{"cniVersion":"1.1.0"},`, 1), types.ErrUnknownContainer},
		{"no container", "CNI_CONTAINERID", "", config, types.ErrInvalidEnvironmentVariables},
		{"a container's name that is none", "CNI_CONTAINERID", "../c1", config, types.ErrInvalidEnvironmentVariables},
		{"a device's name that is none", "CNI_IFNAME", "eth0/1", config, types.ErrInvalidEnvironmentVariables},
		{"no namespace", "CNI_NETNS", "", config, types.ErrInvalidEnvironmentVariables},
		{"a namespace that is not there", "CNI_NETNS", "/run/netns/none", config, types.ErrInvalidNetNS},
		{"arguments that are none", "CNI_ARGS", "K8S_POD_NAME", config, types.ErrInvalidEnvironmentVariables},
		{"no JSON", "", "", "{", types.ErrDecodingFailure},
		{"a command that is not", "CNI_COMMAND", "GROW", config, types.ErrInvalidEnvironmentVariables},
	} {
		c := exec.Command(filepath.Join(s.plugins[0], "weft-cni"))
		c.Env, c.Stdin = os.Environ(), strings.NewReader(x.config)
		for k, v := range good {
			if k == x.key {
				v = x.value
			}
			c.Env = append(c.Env, k+"="+v)
		}
		out, err := c.Output()
		var e types.Error
		if jsonErr := json.Unmarshal(out, &e); err == nil || jsonErr != nil || e.Code != x.code || e.Msg == "" {
			t.Errorf("%s: %v, %v: %s", x.name, err, jsonErr, out)
		}
	}
	s.nothing()
}

// TestPluginsBeforeAndBehind chains the plugin with the project's noop.
func TestPluginsBeforeAndBehind(t *testing.T) {
	s := begin(t)
	for _, v := range versions {
		debug := func(name, result string) (config, file string) {
			file = filepath.Join(s.dir, name+v)
			if err := os.WriteFile(file, []byte(`{"ReportResult":`+result+`}`), 0o600); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf(`{"type":"noop","debugFile":%q}`, file), file
		}
		earlier := fmt.Sprintf(`{"cniVersion":%q,"interfaces":[{"name":"dummy0","sandbox":"/run/netns/other"}],"ips":[{"version":"4","interface":0,"address":"192.0.2.77/24"}],"dns":{"nameservers":["192.0.2.53"]}}`, v)
		quoted, err := json.Marshal(earlier)
		if err != nil {
			t.Fatal(err)
		}
		before, _ := debug("before", string(quoted))
		behind, heard := debug("behind", `"PASSTHROUGH"`)
		p := s.pod("chain" + strings.ReplaceAll(v, ".", "-"))
		list, rt := s.list(v, "cilium-cni", before+",", ","+behind), of(p, "eth0")
		r := s.add(list, rt)
		if x := s.addresses(r, "dummy0", "/run/netns/other"); !slices.Equal(x, []netip.Addr{netip.MustParseAddr("192.0.2.77")}) {
			t.Errorf("%s: of the plugin before there is %v", v, x)
		}
		if got := s.addresses(r, "eth0", p.Path()); len(got) != 2 || !slices.Equal(r.DNS.Nameservers, []string{"192.0.2.53"}) {
			t.Errorf("%s: %+v", v, r)
		}
		told, err := os.ReadFile(heard)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			CmdArgs struct{ StdinData []byte }
		}
		if err := json.Unmarshal(told, &said); err != nil || !bytes.Contains(said.CmdArgs.StdinData, []byte(p.Path())) || !bytes.Contains(said.CmdArgs.StdinData, []byte(`"prevResult"`)) {
			t.Errorf("%s: the plugin behind was told %s (%v)", v, said.CmdArgs.StdinData, err)
		}
		if err := s.lib.CheckNetworkList(t.Context(), list, rt); (err != nil) != (v == "0.3.1") {
			t.Errorf("%s: CHECK: %v", v, err)
		}
		if err := os.WriteFile(heard, []byte("{}"), 0o600); err != nil { // a DEL of 0.3.1 has no result that noop could pass on
			t.Fatal(err)
		}
		if err := s.lib.DelNetworkList(t.Context(), list, rt); err != nil {
			t.Errorf("%s: DEL: %v", v, err)
		}
	}
	s.nothing()
}

func TestCapabilities(t *testing.T) {
	s := begin(t)
	list, p := s.list("1.1.0", "cilium-cni", "", ""), s.pod("web")
	rt := of(p, "eth0")
	rt.CapabilityArgs = map[string]any{"ips": []string{"10.244.1.77/24", "fd00:244:0:1::77"}, "mac": "02:00:00:00:00:77", "portMappings": []any{}}
	r := s.add(list, rt)
	if got := s.addresses(r, "eth0", p.Path()); !slices.Equal(got, []netip.Addr{netip.MustParseAddr("10.244.1.77"), netip.MustParseAddr("fd00:244:0:1::77")}) {
		t.Errorf("addresses %v", got)
	}
	if i := slices.IndexFunc(r.Interfaces, func(x *types100.Interface) bool { return x.Name == "eth0" }); i < 0 || r.Interfaces[i].Mac != "02:00:00:00:00:77" {
		t.Errorf("interfaces %+v", r.Interfaces)
	}
}

func TestGC(t *testing.T) {
	s := begin(t)
	list := s.list("1.1.0", "cilium-cni", "", "")
	kept, stale := s.pod("kept"), s.pod("stale")
	s.add(list, of(kept, "eth0"))
	s.add(list, of(stale, "eth0"))
	valid := &libcni.GCArgs{ValidAttachments: []types.GCAttachment{{ContainerID: "container-kept", IfName: "eth0"}}}
	// By a runtime that has lost its memory: it makes no DEL, and the plugin finds what is stale by itself.
	if err := s.runtime("another").GCNetworkList(t.Context(), list, valid); err != nil {
		t.Error(err)
	}
	if err := s.lib.CheckNetworkList(t.Context(), list, of(kept, "eth0")); err != nil {
		t.Errorf("what is valid: %v", err)
	}
	if err := s.lib.CheckNetworkList(t.Context(), list, of(stale, "eth0")); code(err) != types.ErrUnknownContainer {
		t.Errorf("what is stale: %v", err)
	}
	// Of another network nothing is valid, and what is of this one stays.
	other := *list
	other.Name = "other"
	if err := s.runtime("another").GCNetworkList(t.Context(), &other, &libcni.GCArgs{}); err != nil {
		t.Error(err)
	}
	if err := s.lib.CheckNetworkList(t.Context(), list, of(kept, "eth0")); err != nil {
		t.Errorf("after GC of another network: %v", err)
	}
	if err := s.lib.GCNetworkList(t.Context(), list, &libcni.GCArgs{}); err != nil {
		t.Error(err)
	}
	s.nothing()
}

func TestStatus(t *testing.T) {
	s := begin(t)
	list := s.list("1.1.0", "cilium-cni", "", "")
	if err := s.lib.GetStatusNetworkList(t.Context(), list); err != nil {
		t.Error(err)
	}
	s.Stop()
	if err := s.lib.GetStatusNetworkList(t.Context(), list); code(err) != types.ErrPluginNotAvailable {
		t.Errorf("without an agent: %v", err)
	}
	if _, err := s.lib.AddNetworkList(t.Context(), list, of(s.pod("web"), "eth0")); code(err) != types.ErrTryAgainLater {
		t.Errorf("ADD without an agent: %v", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.lib.GetStatusNetworkList(t.Context(), list); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := begin(t)
	const many = 20
	list := s.list("1.1.0", "cilium-cni", "", "")
	var conf []*libcni.RuntimeConf
	for i := range many {
		conf = append(conf, of(s.pod(fmt.Sprint("crowd", i)), "eth0"))
	}
	seen, mu := map[netip.Addr]string{}, sync.Mutex{}
	together := func(do func(*libcni.RuntimeConf) error) {
		t.Helper()
		var all sync.WaitGroup
		for _, rt := range conf {
			all.Go(func() {
				if err := do(rt); err != nil {
					t.Errorf("%s: %v", rt.ContainerID, err)
				}
			})
		}
		all.Wait()
	}
	together(func(rt *libcni.RuntimeConf) error {
		r, err := s.lib.AddNetworkList(t.Context(), list, rt)
		if err != nil {
			return err
		}
		now, err := types100.NewResultFromResult(r)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, ip := range now.IPs {
			a, _ := netip.AddrFromSlice(ip.Address.IP)
			if other := seen[a]; other != "" {
				return fmt.Errorf("%s is that of %s, too", a, other)
			}
			seen[a] = rt.ContainerID
		}
		return nil
	})
	together(func(rt *libcni.RuntimeConf) error { return s.lib.CheckNetworkList(t.Context(), list, rt) })
	together(func(rt *libcni.RuntimeConf) error { return s.lib.DelNetworkList(t.Context(), list, rt) })
	if len(seen) != 2*many {
		t.Errorf("%d addresses of %d pods", len(seen), many)
	}
	s.nothing()
}

// TestCnitool has the project's own program do it, on the node: what it remembers in /var/lib it remembers there alone.
func TestCnitool(t *testing.T) {
	s := begin(t)
	conf := filepath.Join(s.dir, "conf")
	if err := os.Mkdir(conf, 0o755); err != nil {
		t.Fatal(err)
	}
	config := string(s.list("1.1.0", "cilium-cni", "", "").Bytes)
	if err := os.WriteFile(filepath.Join(conf, "10-net.conflist"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Do(func() error { return unix.Mount("tmpfs", "/var/lib", "tmpfs", 0, "") }); err != nil {
		t.Fatal(err)
	}
	p := s.pod("web")
	tool := func(command string) (string, error) {
		c := exec.Command(filepath.Join(s.plugins[1], "cnitool"), command, "net", p.Path())
		c.Env = append(os.Environ(), "CNI_PATH="+strings.Join(s.plugins, ":"), "NETCONFPATH="+conf, "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web")
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		err := s.Namespace.Start(c)
		if err == nil {
			err = c.Wait()
		}
		if err != nil {
			return "", fmt.Errorf("cnitool %s: %w: %s%s", command, err, &out, &errs)
		}
		return out.String(), nil
	}
	do := func(command string) string {
		t.Helper()
		out, err := tool(command)
		if err != nil {
			t.Error(err)
		}
		return out
	}
	do("status")
	var r types100.Result
	if err := json.Unmarshal([]byte(do("add")), &r); err != nil || r.CNIVersion != "1.1.0" {
		t.Errorf("%+v: %v", r, err)
	}
	got := s.addresses(&r, "eth0", p.Path())
	if err := p.Do(func() error { return has("eth0", got...) }); err != nil {
		t.Error(err)
	}
	do("check")
	do("del")
	do("del")
	s.nothing()
	do("add")
	// It states no valid attachments, without which the specification has no GC: what it remembers itself it has taken away before.
	if _, err := tool("gc"); err == nil || !strings.Contains(err.Error(), "cni.dev/valid-attachments: is missing") {
		t.Errorf("gc: %v", err)
	}
	s.nothing()
	s.Stop()
	if _, err := tool("status"); err == nil || !strings.Contains(err.Error(), "weft-agent") {
		t.Errorf("status without an agent: %v", err)
	}
}
