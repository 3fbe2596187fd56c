package cni_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/settings"
	"weftnet.io/weftnet/internal/source/cni"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
)

// on runs a test on a node whose fake datapath works, in fake time.
func on(t *testing.T, cidrs []string, test func(t *testing.T, ctx context.Context, n *node, s *cni.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n := newNode(t, cidrs...)
		s := n.server(t)
		go n.run(ctx)
		test(t, ctx, n, s)
		cancel()
		synctest.Wait()
	})
}

var dual = []string{"10.244.1.0/24", "fd00:244:1::/64"}

func TestAnADDGivesWhatTheRuntimeHasToKnow(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		answer, err := s.Add(ctx, n.request("c1"))
		result(t, answer, err)
		got, _ := json.MarshalIndent(answer, "", "  ")
		want := `{
  "cniVersion": "1.1.0",
  "interfaces": [
    {
      "mac": "3a:8f:15:76:32:66",
      "mtu": 1450,
      "name": "weftd72e032fed"
    },
    {
      "mac": "d2:ac:6e:2b:12:f4",
      "mtu": 1450,
      "name": "eth0",
      "sandbox": "NETNS"
    }
  ],
  "ips": [
    {
      "address": "10.244.1.2/32",
      "gateway": "169.254.1.1",
      "interface": 1
    },
    {
      "address": "fd00:244:1::2/128",
      "gateway": "fe80::1",
      "interface": 1
    }
  ],
  "routes": [
    {
      "dst": "0.0.0.0/0",
      "gw": "169.254.1.1"
    },
    {
      "dst": "::/0",
      "gw": "fe80::1"
    }
  ]
}`
		if text := strings.ReplaceAll(string(got), n.netns, "NETNS"); text != want {
			t.Error(cmp.Diff(want, text))
		}
	})
}

func TestEveryVersionFrom031To110IsAnsweredInItsOwnForm(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		for _, version := range []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
			r := n.request("c1")
			r.Config = json.RawMessage(strings.Replace(string(r.Config), "1.1.0", version, 1))
			answer, err := s.Add(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			data, _ := json.Marshal(answer)
			var have struct {
				CNIVersion string `json:"cniVersion"`
				IPs        []struct {
					Version string `json:"version"`
				} `json:"ips"`
			}
			if err := json.Unmarshal(data, &have); err != nil || have.CNIVersion != version || len(have.IPs) != 2 {
				t.Errorf("version %s: %s", version, data)
			}
			if old := strings.HasPrefix(version, "0."); old != (have.IPs[0].Version == "4") {
				t.Errorf("version %s: %s", version, data)
			}
		}
		r := n.request("c1")
		r.Config = json.RawMessage(strings.Replace(string(r.Config), "1.1.0", "0.2.0", 1))
		_, err := s.Add(ctx, r)
		refused(t, err, 1, `cniVersion: "0.2.0"`)
	})
}

func TestFamiliesAreThoseOfTheSettingsAndOfTheNode(t *testing.T) {
	for _, c := range []struct {
		settings map[string]string
		cidrs    []string
		want     string
	}{
		{nil, []string{"10.244.1.0/24"}, "[10.244.1.2]"},
		{nil, []string{"fd00::/120"}, "[fd00::2]"},
		{map[string]string{"enable-ipv6": "false"}, dual, "[10.244.1.2]"},
		{map[string]string{"enable-ipv4": "false"}, dual, "[fd00:244:1::2]"},
		{map[string]string{"enable-ipv4": "true", "enable-ipv6": "true"}, dual, "[10.244.1.2 fd00:244:1::2]"},
		{map[string]string{"enable-ipv6": "true"}, []string{"10.244.1.0/24"}, "node n1 has no IPv6 pod CIDR yet"},
	} {
		on(t, c.cidrs, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
			n.write(func(tx *state.Tx) {
				said, _ := settings.Parse(func(key string) (string, bool) { v, ok := c.settings[key]; return v, ok })
				n.Configs.Put(tx, table.Config{Concern: settings.OfAddressing, Settings: said.Part(settings.OfAddressing)})
			})
			_, err := s.Add(ctx, n.request("c1"))
			got := strings.TrimPrefix(n.addresses(), "c1 ")
			if err != nil {
				refused(t, err, 11)
				got = err.Error()
			}
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%v %v: got %s, want %s", c.settings, c.cidrs, got, c.want)
			}
		})
	}
}

func TestTwoADDsOfOneContainerGiveOneResult(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		var group sync.WaitGroup
		answers := make([]*types100.Result, 16)
		for i := range answers {
			group.Go(func() {
				answer, err := s.Add(ctx, n.request("c1"))
				answers[i] = result(t, answer, err)
			})
		}
		group.Wait()
		for _, a := range answers {
			if !reflect.DeepEqual(a, answers[0]) {
				t.Errorf("got %v and %v", a, answers[0])
			}
		}
		if got, want := n.addresses(), "c1 [10.244.1.2 fd00:244:1::2]"; got != want {
			t.Errorf("attached: %s, want %s", got, want)
		}
	})
}

func TestAnADDThatWaitsInVainSaysForWhatAndLeavesNothingBehind(t *testing.T) {
	inPod := func(r agent.Request) agent.Request {
		r.Args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=c1"
		return r
	}
	for want, prepare := range map[string]func(n *node){
		"pod default/web has not come from the API server yet": func(*node) {},
		"the labels of pod default/web or of its namespace are not known yet": func(n *node) {
			n.write(func(tx *state.Tx) { n.Pods.Put(tx, table.Pod{Namespace: "default", Name: "web"}) })
		},
		"no identity for labels k8s:app=web; yet": func(n *node) { n.pod("default", "web", 0) },
		"link: make veth: no buffer space (attempt ": func(n *node) {
			n.pod("default", "web", 4711)
			n.hold(func(table.Attachment) string { return "make veth: no buffer space" })
		},
	} {
		on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
			prepare(n)
			if (*n.holds.Load())(table.Attachment{}) == "" {
				n.hold(func(table.Attachment) string { return " " })
			}
			_, err := s.Add(ctx, inPod(n.request("c1")))
			refused(t, err, 11, "pod default/web eth0 is not connected after 60 s: "+want)
			if got := n.addresses(); got != "" {
				t.Errorf("%s: left behind: %s", want, got)
			}
			if files, _ := filepath.Glob(n.dir + "/attachments/*"); len(files) != 0 {
				t.Errorf("%s: left behind: %s", want, files)
			}
			n.hold(func(table.Attachment) string { return "" })
			if _, err := s.Add(ctx, n.request("c2")); err != nil {
				t.Error(err)
			}
			if got := n.addresses(); got != "c2 [10.244.1.3 fd00:244:1::3]" {
				t.Errorf("the address does not rest: %s", got)
			}
		})
	}
}

func TestAnADDWhoseCallerGoesAwayIsTakenBack(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		n.hold(func(table.Attachment) string { return "never" })
		gone, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := s.Add(gone, n.request("c1"))
		refused(t, err, 11, "link: never")
		if got := n.addresses(); got != "" {
			t.Errorf("left behind: %s", got)
		}
	})
}

func TestADELSucceedsWhateverIsGone(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		never := agent.Request{ContainerID: "never", Interface: "eth0"}
		if _, err := s.Del(ctx, never); err != nil {
			t.Error(err)
		}
		if _, err := s.Add(ctx, n.request("c1")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(n.netns); err != nil {
			t.Fatal(err)
		}
		bad := agent.Request{ContainerID: "c1", Interface: "eth0", Args: "=;;", Config: json.RawMessage(`{"ipam":{"type":"gone"}}`)}
		for range 2 {
			if _, err := s.Del(ctx, bad); err != nil {
				t.Error(err)
			}
		}
		if got := n.addresses(); got != "" {
			t.Errorf("left behind: %s", got)
		}
	})
}

func TestADELReturnsOnlyWhenTheLinkIsGone(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		if _, err := s.Add(ctx, n.request("c1")); err != nil {
			t.Fatal(err)
		}
		var stuck atomic.Bool
		stuck.Store(true)
		n.fail(func() bool {
			if stuck.Load() {
				time.Sleep(time.Second)
			}
			return stuck.Load()
		})
		_, err := s.Del(ctx, n.request("c1"))
		refused(t, err, 11, "container c1 eth0 is not detached yet")
		if _, err := s.Add(ctx, n.request("c2")); err == nil || n.addresses() == "c2 [10.244.1.2]" {
			t.Errorf("an address whose link is still there was given away: %s", n.addresses())
		}
		stuck.Store(false)
		if _, err := s.Del(ctx, n.request("c1")); err != nil {
			t.Error(err)
		}
	})
}

func TestAFullNodeSaysSo(t *testing.T) {
	on(t, []string{"10.244.1.0/29"}, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		for i := range 5 {
			if _, err := s.Add(ctx, n.request(fmt.Sprint("c", i))); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.Add(ctx, n.request("late"))
		refused(t, err, 11, "no free IPv4 address in 10.244.1.0/29 (6 in use)")
		_, err = s.Status(ctx, agent.Request{Config: conf()})
		refused(t, err, 50, "no free IPv4 address in 10.244.1.0/29 (6 in use)")
		if _, err := s.Del(ctx, n.request("c3")); err != nil {
			t.Fatal(err)
		}
		_, err = s.Add(ctx, n.request("late"))
		refused(t, err, 11, "(5 in use, 1 resting)")
		time.Sleep(10 * time.Second)
		if _, err := s.Add(ctx, n.request("late")); err != nil {
			t.Error(err)
		}
	})
}

func TestAnAddressThatIsAskedForIsGiven(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		r := n.request("c1", `"runtimeConfig":{"ips":["10.244.1.77/24"],"mac":"02:00:00:00:00:07"}`)
		r.Args = "IgnoreUnknown=true;IP=fd00:244:1::77"
		answer, err := s.Add(ctx, r)
		got := result(t, answer, err)
		if n.addresses() != "c1 [10.244.1.77 fd00:244:1::77]" || got.Interfaces[1].Mac != "02:00:00:00:00:07" {
			t.Errorf("got %v", got)
		}
		_, err = s.Add(ctx, n.request("c2", `"runtimeConfig":{"ips":["10.244.1.77"]}`))
		refused(t, err, 7, "address 10.244.1.77: it is held by c1/eth0")
		_, err = s.Add(ctx, n.request("c2", `"runtimeConfig":{"ips":["10.9.9.9"]}`))
		refused(t, err, 7, "address 10.9.9.9: it is not in 10.244.1.0/24")
	})
}

func TestARequestThatMakesNoSenseIsRefusedWithTheNameOfTheField(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		good := n.request("c1")
		for _, c := range []struct {
			code   uint
			want   string
			change func(r *agent.Request)
		}{
			{4, "CNI_CONTAINERID", func(r *agent.Request) { r.ContainerID = "" }},
			{4, "CNI_CONTAINERID", func(r *agent.Request) { r.ContainerID = "../../etc" }},
			{4, "CNI_IFNAME", func(r *agent.Request) { r.Interface = "an-interface-name-too-long" }},
			{8, "CNI_NETNS", func(r *agent.Request) { r.Netns = "" }},
			{8, "CNI_NETNS", func(r *agent.Request) { r.Netns = "/var/run/netns/none" }},
			{4, "CNI_ARGS", func(r *agent.Request) { r.Args = "K8S_POD_NAME" }},
			{4, "unknown args", func(r *agent.Request) { r.Args = "FOO=bar" }},
			{4, "K8S_POD_NAMESPACE and K8S_POD_NAME", func(r *agent.Request) { r.Args = "K8S_POD_NAME=web" }},
			{7, "CNI_ARGS: IP", func(r *agent.Request) { r.Args = "IP=10.0.0" }},
			{7, "CNI_ARGS: MAC", func(r *agent.Request) { r.Args = "MAC=ff:ff:ff:ff:ff:ff" }},
			{6, "network configuration", func(r *agent.Request) { r.Config = json.RawMessage(`[]`) }},
			{6, "name", func(r *agent.Request) { r.Config = json.RawMessage(`{"name":7}`) }},
			{7, "name", func(r *agent.Request) { r.Config = json.RawMessage(`{"type":"weft-cni"}`) }},
			{7, "type", func(r *agent.Request) { r.Config = json.RawMessage(`{"name":"x","type":"bridge"}`) }},
			{7, "ipam.type", func(r *agent.Request) { r.Config = conf(`"ipam":{"type":"host-local"}`) }},
			{7, "mtu", func(r *agent.Request) { r.Config = conf(`"mtu":90`) }},
			{7, "runtimeConfig.ips", func(r *agent.Request) { r.Config = conf(`"runtimeConfig":{"ips":["10.244.1.5","10.244.1.6"]}`) }},
			{6, "prevResult", func(r *agent.Request) { r.Config = conf(`"prevResult":{"ips":[{"address":"x"}]}`) }},
			{7, "prevResult.interfaces", func(r *agent.Request) {
				r.Config = conf(`"prevResult":{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"` + n.netns + `"}]}`)
			}},
		} {
			r := good
			c.change(&r)
			_, err := s.Add(ctx, r)
			refused(t, err, c.code, c.want)
		}
		if n.addresses() != "" {
			t.Errorf("attached: %s", n.addresses())
		}
		if _, err := s.Add(ctx, n.request("c1", `"ipam":{"type":"cilium"}`, `"enable-debug":true`, `"log-file":"/dev/null"`)); err != nil {
			t.Error(err)
		}
	})
}

func TestTheResultOfAnEarlierPluginIsKept(t *testing.T) {
	on(t, []string{"10.244.1.0/24"}, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		answer, err := s.Add(ctx, n.request("c1", `"prevResult":{"cniVersion":"1.1.0","interfaces":[{"name":"net1","sandbox":"`+n.netns+`"}],`+
			`"ips":[{"address":"192.0.2.7/24","interface":0}],"dns":{"nameservers":["192.0.2.53"]}}`))
		r := result(t, answer, err)
		if len(r.Interfaces) != 3 || r.Interfaces[0].Name != "net1" || len(r.IPs) != 2 || *r.IPs[1].Interface != 2 || r.DNS.Nameservers[0] != "192.0.2.53" {
			data, _ := json.Marshal(r)
			t.Errorf("got %s", data)
		}
	})
}

// kernel is what CHECK finds.
type kernel struct{ err error }

func (k *kernel) Check(_ context.Context, l table.Link) error { return k.err }

func TestACHECKTellsWhatIsNotAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, k := newNode(t, dual...), &kernel{}
		o := n.options()
		o.Kernel = k
		s, err := cni.New(o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go n.run(ctx)
		answer, err := s.Add(ctx, n.request("c1"))
		result(t, answer, err)
		data, _ := json.Marshal(answer)
		check := func(id string, keys ...string) error { _, err := s.Check(ctx, n.request(id, keys...)); return err }
		prev := `"prevResult":` + string(data)
		if err := check("c1", prev); err != nil {
			t.Error(err)
		}
		refused(t, check("c9", prev), 3, "container c9 eth0 is not attached")
		refused(t, check("c1"), 7, "prevResult: is missing")
		refused(t, check("c1", strings.Replace(prev, "10.244.1.2", "10.244.1.9", 1)), 7, "10.244.1.2 of eth0 is missing")
		refused(t, check("c1", strings.Replace(prev, `"eth0"`, `"eth1"`, 1)), 7, "has no eth0")
		k.err = errors.New("address 10.244.1.2/32 is not on eth0")
		refused(t, check("c1", prev), 999, "address 10.244.1.2/32 is not on eth0")
		n.write(func(tx *state.Tx) { n.Ready.Delete(tx, table.AttachmentKey("c1", "eth0")) })
		refused(t, check("c1", prev), 11, "container c1 eth0 is not connected")
		cancel()
		synctest.Wait()
	})
}

func TestSTATUSTellsWhetherTheNodeTakesWorkloads(t *testing.T) {
	on(t, nil, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		ask := func() error { _, err := s.Status(ctx, agent.Request{Config: conf()}); return err }
		refused(t, ask(), 50, "node n1 has no pod CIDR yet", "ciliumnode/n1")
		n.write(func(tx *state.Tx) { n.own(tx, dual...) })
		if err := ask(); err != nil {
			t.Error(err)
		}
		if _, err := s.Add(ctx, n.request("c1")); err != nil {
			t.Fatal(err)
		}
		n.write(func(tx *state.Tx) {
			n.own(tx)
			n.Ready.Delete(tx, table.AttachmentKey("c1", "eth0"))
		})
		refused(t, ask(), 51, "node n1 has no pod CIDR yet")
	})
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, dual...)
		o := n.options()
		o.Health = func() error { return errors.New("programs are not loaded") }
		s, err := cni.New(o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Status(t.Context(), agent.Request{Config: conf()})
		refused(t, err, 50, "programs are not loaded")
	})
}

func TestWhatCallsForSeveralNICsAttachesThemItself(t *testing.T) {
	attached := func(n *node) string {
		var list []string
		for a := range n.Attachments.All(n.db.Snapshot()) {
			list = append(list, fmt.Sprint(a.Interface, " of ", a.Further.First, " ", a.Multus))
		}
		return strings.Join(list, ", ")
	}
	for _, c := range []struct{ caller, want string }{
		{"containerd", "eth0 of  false, net1 of eth0 true"},
		{"multus-daemon", "eth0 of  true, net1 of eth0 true"},
	} {
		on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
			first, second := n.request("c1"), n.request("c1")
			first.Caller, second.Caller, second.Interface = c.caller, c.caller, "net1"
			if _, err := s.Add(ctx, first); err != nil {
				t.Fatal(err)
			}
			answer, err := s.Add(ctx, second)
			if err != nil {
				t.Fatal(err)
			}
			if r := answer.(*types100.Result); len(r.Routes) > 0 || len(r.IPs) != 2 {
				t.Errorf("%s: the answer for net1 has the routes %v and the addresses %v", c.caller, r.Routes, r.IPs)
			}
			if got := attached(n); got != c.want {
				t.Errorf("%s: attached %s, want %s", c.caller, got, c.want)
			}
			// The runtime calls for the first only, if what called for the second is gone.
			if _, err := s.Del(ctx, first); err != nil {
				t.Fatal(err)
			}
			if got := attached(n); got != "" {
				t.Errorf("%s: left is %s", c.caller, got)
			}
			if _, err := s.Del(ctx, second); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestGCTakesAwayWhatTheRuntimeDoesNotKnowOfItsNetwork(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		for _, id := range []string{"c1", "c2", "c3"} {
			if _, err := s.Add(ctx, n.request(id)); err != nil {
				t.Fatal(err)
			}
		}
		other := n.request("c4")
		other.Config = json.RawMessage(strings.Replace(string(other.Config), `"name":"weft"`, `"name":"other"`, 1))
		if _, err := s.Add(ctx, other); err != nil {
			t.Fatal(err)
		}
		_, err := s.GC(ctx, agent.Request{Config: conf()})
		refused(t, err, 7, "cni.dev/valid-attachments")
		if _, err := s.GC(ctx, agent.Request{Config: conf(`"cni.dev/valid-attachments":[{"containerID":"c2","ifname":"eth0"}]`)}); err != nil {
			t.Fatal(err)
		}
		if got, want := n.addresses(), "c2 [10.244.1.3 fd00:244:1::3], c4 [10.244.1.5 fd00:244:1::5]"; got != want {
			t.Errorf("attached: %s, want %s", got, want)
		}
		if _, err := s.GC(ctx, agent.Request{Config: conf(`"cni.dev/valid-attachments":null`)}); err != nil {
			t.Fatal(err)
		}
		if got, want := n.addresses(), "c4 [10.244.1.5 fd00:244:1::5]"; got != want {
			t.Errorf("attached: %s, want %s", got, want)
		}
	})
}

func TestAContainerThatComesBackInAnotherNamespaceIsAttachedAnew(t *testing.T) {
	on(t, dual, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		if _, err := s.Add(ctx, n.request("c1")); err != nil {
			t.Fatal(err)
		}
		r := n.request("c1")
		r.Netns += "2"
		if err := os.WriteFile(r.Netns, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Add(ctx, r); err != nil {
			t.Fatal(err)
		}
		for a := range n.Attachments.All(n.db.Snapshot()) {
			if a.Netns != r.Netns || a.Incarnation != 2 {
				t.Errorf("attached: %v", a)
			}
		}
	})
}

func TestAddressesOfPodCIDRsThatChangeStayWithTheirPods(t *testing.T) {
	on(t, []string{"10.244.1.0/24"}, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		for i, cidr := range []string{"10.244.1.0/24", "10.244.9.0/24", "10.244.1.0/24"} {
			n.write(func(tx *state.Tx) { n.own(tx, cidr) })
			if _, err := s.Add(ctx, n.request(fmt.Sprint("c", i))); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := n.addresses(), "c0 [10.244.1.2], c1 [10.244.9.2], c2 [10.244.1.3]"; got != want {
			t.Errorf("attached: %s, want %s", got, want)
		}
	})
}

func TestAddressesAreSorted(t *testing.T) {
	on(t, []string{"fd00::/120", "10.244.1.0/24"}, func(t *testing.T, ctx context.Context, n *node, s *cni.Server) {
		if _, err := s.Add(ctx, n.request("c1")); err != nil {
			t.Fatal(err)
		}
		for a := range n.Attachments.All(n.db.Snapshot()) {
			if !a.Addresses[0].Is4() || a.Addresses[1] != netip.MustParseAddr("fd00::2") {
				t.Errorf("addresses are %v", a.Addresses)
			}
		}
	})
}
