package settings

import (
	"flag"
	"maps"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weftnet.io/weftnet/internal/settings/key"
	"weftnet.io/weftnet/internal/settings/network"
)

func parse(data map[string]string) (Config, []Problem) {
	return Parse(func(key string) (string, bool) { v, ok := data[key]; return v, ok })
}

var update = flag.Bool("update", false, "rewrite the golden files")

var prefixCmp = cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})

func TestNothingSetMeansTheDefaults(t *testing.T) {
	want := Config{
		Addressing: Addressing{IPv4: true, IPv6: true, IPAM: ClusterPool, Pools: []Pool{
			{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, NodeBits: 24},
			{Prefixes: []netip.Prefix{netip.MustParsePrefix("fd00::/104")}, NodeBits: 120},
		}},
		Identity: Identity{ClusterName: "default"},
		Routes:   Routes{Routing: Tunnel, TunnelPort: 8472, MasqueradeIPv4: true, MasqueradeIPv6: true},
		Policy:   Policy{Enforcement: EnforceDefault},
		Datapath: Datapath{PodDevice: Veth, Maps: MapSizes{Ratio: 0.0025}},
		Services: Services{
			Reject: true, Replacement: "false", Sockets: Sockets{HoldPorts: true, EndOfPods: true}, Outside: Outside{First: 30000, Last: 32767, Mode: "snat", XDP: "disabled"},
			Health: Health{Services: true}, Choice: Choice{Hints: true, Annotated: true, TableSize: 65521},
		},
		Observation: Observation{
			Hubble: true, HubbleSocket: "/var/run/cilium/hubble.sock",
			FlowMetrics: FlowMetrics{Server: Metrics{Address: ":9965", Keys: "hubble-metrics-server"}, Series: 10000},
			Progress:    time.Minute,
			Export:      Export{File: FlowFile{MaxMB: 10, Backups: 5}}, Redaction: Redaction{UserInfo: true},
		},
		Networks: network.Networks{Hold: 40 * time.Second, Keep: 24 * time.Hour, Policy: network.Primary, Conflicts: network.Probe},
	}
	have, problems := parse(nil)
	if diff := cmp.Diff(want, have, prefixCmp, cmpopts.EquateEmpty()); diff != "" || problems != nil {
		t.Errorf("config (-want +have):\n%s\nproblems: %v", diff, problems)
	}
}

func TestMetricsHaveAnAddressAndMayWantTLS(t *testing.T) {
	c, problems := parse(map[string]string{
		"prometheus-serve-addr": "127.0.0.1:9962", "prometheus-enable-tls": "true", "prometheus-tls-cert-file": "/tls/tls.crt",
		"prometheus-tls-key-file": "/tls/tls.key", "prometheus-tls-client-ca-files": "/tls/a.crt,/tls/b.crt",
	})
	want := Metrics{Address: "127.0.0.1:9962", TLS: true, Certificate: "/tls/tls.crt", Key: "/tls/tls.key", ClientCAs: []string{"/tls/a.crt", "/tls/b.crt"}}
	if diff := cmp.Diff(want, c.Metrics); diff != "" || len(problems) > 0 {
		t.Errorf("%v\n%s", problems, diff)
	}
	for _, address := range []string{"9962", "127.0.0.1", ":0", ":99999", "::1:9962"} {
		if c, problems := parse(map[string]string{"prometheus-serve-addr": address}); c.Metrics.Address != "" || len(problems) != 1 {
			t.Errorf("%s: %q, %v", address, c.Metrics.Address, problems)
		}
	}
}

func TestOlderNamesCountUnlessTheNewOneIsSet(t *testing.T) {
	c, _ := parse(map[string]string{"tunnel": "disabled", "native-routing-cidr": "10.0.0.0/8", "enable-policy": "always"})
	if c.Routing != Native || c.NativeIPv4.String() != "10.0.0.0/8" || c.Enforcement != EnforceAlways {
		t.Errorf("older names are not read: %+v", c)
	}
	c, _ = parse(map[string]string{"tunnel": "disabled", "routing-mode": "tunnel"})
	if c.Routing != Tunnel {
		t.Errorf("tunnel: disabled beats routing-mode: tunnel")
	}
}

func TestSocketsAreForWhoAsksForThem(t *testing.T) {
	for _, c := range []struct {
		replacement, sock string
		on                bool
		problems          int
	}{
		{"", "", false, 0},
		{"", "true", true, 0},
		{"true", "", true, 0},
		{"true", "false", true, 0}, // charts write it beside
		{"strict", "false", true, 0},
		{"probe", "", true, 0},
		{"false", "true", true, 0},
		{"partial", "true", true, 0},
		{"partial", "", false, 0},
		{"disabled", "", false, 0},
		{"disabled", "true", false, 1},
		{"yes", "true", true, 1},
	} {
		data := map[string]string{}
		if c.replacement != "" {
			data["kube-proxy-replacement"] = c.replacement
		}
		if c.sock != "" {
			data["bpf-lb-sock"] = c.sock
		}
		if have, problems := parse(data); have.Sockets.On != c.on || len(problems) != c.problems {
			t.Errorf("%v: %v, %v", data, have.Sockets, problems)
		}
	}
	c, _ := parse(map[string]string{"enable-host-reachable-services": "true", "bpf-lb-sock": "false"})
	if c.Sockets.On {
		t.Error("the older name beats bpf-lb-sock")
	}
}

func TestValuesWithoutSenseCountAsAbsentAndAreNamed(t *testing.T) {
	c, problems := parse(map[string]string{
		"enable-ipv6": "maybe", "tunnel-port": "70000", "cluster-id": "x", "ipv4-native-routing-cidr": "10.0.0.1",
		"labels":                 "k8s:app ![ !pod-hash",
		"cluster-pool-ipv4-cidr": "10.1.0.0/16, fd00::/64 10.1.2.0/24 10.9.0.0/25", "cluster-pool-ipv4-mask-size": "24",
	})
	var have []string
	for _, p := range problems {
		have = append(have, p.String())
	}
	want := []string{
		`enable-ipv6: "maybe" is not true or false; using "true"`,
		`cluster-id: "x" is not a whole number; using "0"`,
		"labels: \"![\" is left out: parse label pattern \"![\": error parsing regexp: missing closing ]: `[)`",
		`tunnel-port: "70000" is not between 1 and 65535; using "8472"`,
		`ipv4-native-routing-cidr: "10.0.0.1" is not a prefix such as 10.244.0.0/16 or fd00:244::/48; using ""`,
		`cluster-pool-ipv4-cidr: "fd00::/64" is not of the family with 32-bit addresses; left out`,
		`cluster-pool-ipv4-cidr: "10.1.2.0/24" overlaps another prefix of the pool; left out`,
		`cluster-pool-ipv4-cidr: "10.9.0.0/25" is smaller than the /24 that cluster-pool-ipv4-mask-size gives each node; left out`,
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("problems (-want +have):\n%s", diff)
	}
	if c.TunnelPort != 8472 || !c.IPv6 || !cmp.Equal(c.Labels, []string{"k8s:app", "!pod-hash"}) {
		t.Errorf("config %+v does not have the defaults", c)
	}
}

func TestEveryKeyOfAConfigurationIsReported(t *testing.T) {
	text, err := os.ReadFile("testdata/cilium-config.txt")
	if err != nil {
		t.Fatal(err)
	}
	given, want, _ := strings.Cut(string(text), "---\n")
	data := map[string]string{}
	for line := range strings.Lines(given) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		data[k] = v
	}
	var have strings.Builder
	for _, l := range Report(data) {
		mark := " "
		if l.Alarm() {
			mark = "!"
		}
		have.WriteString(strings.TrimSpace(mark+" "+l.Key+" "+l.Value+": "+l.State.String()+" "+l.Message) + "\n")
	}
	if *update {
		if err := os.WriteFile("testdata/cilium-config.txt", []byte(given+"---\n"+have.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, have.String()); diff != "" {
		t.Errorf("report (-want +have):\n%s", diff)
	}
}

func TestTheDefaultOfEveryKeyIsEffectiveOrSaysWhatHappensInstead(t *testing.T) {
	for _, k := range Keys() {
		if k.None {
			continue
		}
		if err := k.Syntax.Check(k.Default); err != nil {
			t.Errorf("default %q of %s %v", k.Default, k.Name, err)
		}
		if !k.Works(k.Default) && k.Instead == "" {
			t.Errorf("default %q of %s is not implemented, and nothing says what happens instead", k.Default, k.Name)
		}
	}
}

func TestAKeyThatDoesSomethingIsReadAndSaysWhenItTakesHold(t *testing.T) {
	for _, k := range Keys() {
		switch effective := k.Read != nil; {
		case effective && (k.Concern == "" || k.Holds == "" || k.Text == ""):
			t.Errorf("%s is read, and says not all of: what it is about, when a change takes hold, what it means", k.Name)
		case !effective && !k.None && k.Have == nil:
			t.Errorf("%s counts as effective, and nothing reads it", k.Name)
		case !effective && k.Holds != "":
			t.Errorf("a change of %s takes hold, and nothing reads it", k.Name)
		}
	}
}

func TestNodePortsAreOfferedWhereTheirAddressesSay(t *testing.T) {
	node := []netip.Addr{netip.MustParseAddr("192.168.0.1"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("192.168.0.9")}
	for _, c := range []struct{ value, at string }{
		{"", "192.168.0.1 192.168.0.9 10.7.0.1 fd00::1 127.0.0.1"},
		{"primary", "192.168.0.1 fd00::1"},
		{"192.168.0.0/29 fd00::/64", "192.168.0.1 fd00::1"},
		{"192.168.0.7/24,127.0.0.0/8", "192.168.0.1 192.168.0.9 127.0.0.1"},
	} {
		config, problems := parse(map[string]string{"nodeport-addresses": c.value})
		var at []string
		for _, a := range []string{"192.168.0.1", "192.168.0.9", "10.7.0.1", "fd00::1", "127.0.0.1"} {
			if config.Outside.At.Has(netip.MustParseAddr(a), node) {
				at = append(at, a)
			}
		}
		if have := strings.Join(at, " "); have != c.at || len(problems) > 0 {
			t.Errorf("%q: at %s, want %s, %v", c.value, have, c.at, problems)
		}
	}
	for _, value := range []string{"secondary", "primary,10.0.0.0/8", "192.168.0.1"} {
		if config, problems := parse(map[string]string{"nodeport-addresses": value}); len(problems) != 1 || config.Outside.At.Primary || len(config.Outside.At.Ranges) > 0 {
			t.Errorf("%q is taken: %v", value, problems)
		}
	}
}

func TestTheConcernsTogetherAreTheWholeConfiguration(t *testing.T) {
	whole, _ := parse(nil)
	var sum Config
	for _, of := range Concerns {
		part := whole.Part(of)
		if cmp.Equal(part, Config{}, prefixCmp) && of != OfPolicy {
			t.Errorf("%s has no part", of)
		}
		sum.Add(of, part)
	}
	if diff := cmp.Diff(whole, sum, prefixCmp); diff != "" {
		t.Error(diff)
	}
}

// A key changes nothing but what its concern has, so that nothing else is computed anew.
func TestAKeyChangesThePartOfItsConcernOnly(t *testing.T) {
	values := map[key.Syntax]string{
		key.Boolean: "true", key.Integer: "7", key.Fraction: "0.5", key.Count: "4096", key.Life: "77s", key.Prefix: "10.7.0.0/16", key.Prefixes: "10.7.0.0/16", key.Patterns: "a", key.Address: ":7777", key.Anything: "x", key.Ports: "20000,22767",
		key.Addresses4: "10.7.0.1 10.7.0.2", key.Prefixes4: "10.7.0.0/16 10.8.0.0/16", key.Netmask: "255.0.0.0", key.MACs: "02:00:00:00:00:01 02:00:00:00:00:02", key.Seed: "AQIDBAUGBwgJCgsM",
		key.FlowMetrics: "drop tcp", key.PortAddresses: "10.7.0.0/16, fd00::/64",
	}
	for _, k := range Keys() {
		if k.Read == nil {
			continue
		}
		candidates := []string{values[k.Syntax], "false"}
		if values[k.Syntax] == "" {
			candidates = strings.Split(string(k.Syntax), "|")
		}
		beside := map[string]string{}
		if k.Needs == "`enable-vtep: true`" {
			beside = vtepKeys(nil)
		} else if k.Name == "enable-vtep" {
			beside = vtepKeys(map[string]string{k.Name: ""})
		}
		before, _ := parse(beside)
		changed := false
		for _, value := range candidates {
			given := maps.Clone(beside)
			given[k.Name] = value
			after, _ := parse(given)
			for _, of := range Concerns {
				if cmp.Equal(before.Part(of), after.Part(of), prefixCmp) {
					continue
				}
				if changed = true; of != k.Concern {
					t.Errorf("%s=%s changes %s, and is about %s", k.Name, value, of, k.Concern)
				}
			}
		}
		if !changed && k.Name != "tunnel-protocol" && !strings.HasSuffix(k.Name, "cidr") && !strings.HasSuffix(k.Name, "mask-size") {
			t.Errorf("no value of %s in %q changes anything", k.Name, candidates)
		}
	}
}

func TestWhatIsWrittenOfFlowsIsNothingIfItsFiltersMakeNoSense(t *testing.T) {
	for text, path := range map[string]string{`{"verdict":["DROPPED"]} {"reply":[true]}`: "/x", `{"verdict":["DENIED"]}`: "", `{"source_ip":["x"]}`: "", `{`: ""} {
		c, problems := parse(map[string]string{"hubble-export-file-path": "/x", "hubble-export-allowlist": text})
		if have := c.Observation.Export.File.Path; have != path || (len(problems) == 0) != (path != "") {
			t.Errorf("%s: flows go to %q: %v", text, have, problems)
		}
	}
	c, problems := parse(map[string]string{"hubble-redact-http-headers-allow": "a", "hubble-redact-http-headers-deny": "b"})
	if len(problems) != 1 || len(c.Observation.Redaction.Allow) != 1 || len(c.Observation.Redaction.Deny) != 0 {
		t.Errorf("have %+v: %v", c.Observation.Redaction, problems)
	}
}
