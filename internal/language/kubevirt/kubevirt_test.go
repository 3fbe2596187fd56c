package kubevirt_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/kubevirt"
	"weftnet.io/weftnet/internal/policy/gap"
	"weftnet.io/weftnet/internal/table/machine"
)

// press has two NICs by one definition, one by another, and one in the pod network.
const press = `
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: press, namespace: plant, annotations: {k8s.v1.cni.cncf.io/networks: 'OWN'}}
spec:
  template:
    metadata: {labels: {app: press}, annotations: {k8s.v1.cni.cncf.io/networks: 'TEMPLATE'}}
    spec:
      domain:
        devices:
          interfaces:
          - {name: default, masquerade: {}, macAddress: "02:00:00:00:00:0f"}
          - {name: left, bridge: {}}
          - {name: right, bridge: {}, macAddress: "02-00-00-00-00-02"}
          - {name: upkeep, bridge: {}}
      networks:
      - {name: default, pod: {}}
      - {name: left, multus: {networkName: line}}
      - {name: right, multus: {networkName: plant/line}}
      - {name: upkeep, multus: {networkName: office/upkeep}}
      - {name: unbound, multus: {networkName: nowhere}}
`

func guest(t *testing.T, own, template string) machine.Guest {
	t.Helper()
	var vm kubevirt.VirtualMachine
	if err := yaml.Unmarshal([]byte(strings.NewReplacer("OWN", own, "TEMPLATE", template).Replace(press)), &vm); err != nil {
		t.Fatal(err)
	}
	row, _ := kubevirt.Row(&vm)
	if want := "[default  02:00:00:00:00:0f left plant/line right plant/line 02-00-00-00-00-02 upkeep office/upkeep]"; fmt.Sprint(row.NICs) != want || row.Labels["app"] != "press" {
		t.Errorf("NICs %v, labels %v", row.NICs, row.Labels)
	}
	return machine.Guest{Namespace: "plant", Name: "press", Machine: row}
}

// pods are the annotations that KubeVirt writes, by the schemes of its versions.
var pods = map[string][3]string{
	"hashes":   {kubevirt.Interface("left"), kubevirt.Interface("right"), kubevirt.Interface("upkeep")},
	"ordinals": {"net1", "net2", "net3"},
}

func annotation(names [3]string) string {
	return fmt.Sprintf(`[{"name": "line", "namespace": "plant", "interface": %q}, {"name": "line", "namespace": "plant", "interface": %q}, {"name": "upkeep", "namespace": "office", "interface": %q}]`, names[0], names[1], names[2])
}

func TestWhatAMachineAsksForCountsAsIfItsPodAskedForIt(t *testing.T) {
	for _, c := range []struct {
		name, own, template string
		want                string // of each NIC: addresses and MAC address
		lacks               string
	}{
		{"nothing", "", "", "[] ; [] 02:00:00:00:00:02; [] ", ""},
		{"by name", `[{"name": "office/upkeep", "ips": ["10.0.0.9/24"]}]`, "", "", `name: "office/upkeep" is no name of an object`},
		{"one", `[{"name": "upkeep", "namespace": "office", "ips": ["10.0.0.9/24"], "mac": "02:00:00:00:00:09"}]`, "", "[] ; [] 02:00:00:00:00:02; [10.0.0.9/24] 02:00:00:00:00:09", ""},
		{"in the template", "", `[{"name": "upkeep", "namespace": "office", "ips": ["10.0.0.9/24"]}]`, "[] ; [] 02:00:00:00:00:02; [10.0.0.9/24] ", ""},
		{"two by one definition", `[{"name": "line", "ips": ["10.1.0.1"]}, {"name": "line", "ips": ["10.1.0.2"]}, {"name": "line", "ips": ["10.1.0.3"]}]`, "", "[10.1.0.1/32] ; [10.1.0.2/32] 02:00:00:00:00:02; [] ", ""},
		{"both say the same", `[{"name": "line", "ips": ["10.1.0.1"]}]`, `[{"name": "line", "ips": ["10.1.0.1"]}]`, "[10.1.0.1/32] ; [] 02:00:00:00:00:02; [] ", ""},
		{"in words", "line, office/upkeep", "", "[] ; [] 02:00:00:00:00:02; [] ", ""},
		{"what no NIC is of", `[{"name": "elsewhere", "ips": ["10.2.0.1"]}]`, "", "[] ; [] 02:00:00:00:00:02; [] ", ""},
		{"they differ", `[{"name": "line", "ips": ["10.1.0.1"]}]`, `[{"name": "line", "ips": ["10.1.0.2"]}]`, "", "VirtualMachine plant/press spec.template.metadata.annotations[k8s.v1.cni.cncf.io/networks][0].ips: it asks for [10.1.0.2/32], and the pod's annotation, or another of the machine, for [10.1.0.1/32]; keep one"},
		{"two MAC addresses", `[{"name": "line"}, {"name": "line", "mac": "02:00:00:00:00:07"}]`, "", "", "interface right.macAddress: it is 02:00:00:00:00:02, and an annotation asks for 02:00:00:00:00:07; the guest can have one"},
	} {
		for scheme, names := range pods {
			own, gaps := attachment.Requests(annotation(names), "plant")
			if len(gaps) > 0 {
				t.Fatal(gaps)
			}
			requests, gaps := kubevirt.Ask(guest(t, c.own, c.template), own)
			if c.lacks != "" {
				if !strings.Contains(gap.Text(gaps), c.lacks) && scheme == "hashes" {
					t.Errorf("%s, %s: %q", c.name, scheme, gap.Text(gaps))
				}
				continue
			}
			var have []string
			for _, q := range requests {
				have = append(have, fmt.Sprint(q.Addresses, " ", q.MAC))
			}
			want := c.want
			if scheme == "ordinals" { // the interface that a NIC is of is not known
				want = strings.ReplaceAll(want, "02:00:00:00:00:02", "")
			}
			if got := strings.Join(have, "; "); got != want || len(gaps) > 0 {
				t.Errorf("%s, %s: have %s; %s\nwant %s", c.name, scheme, got, gap.Text(gaps), want)
			}
			if own[0].Addresses != nil || own[2].MAC != nil {
				t.Errorf("%s: the pod's own requests have changed", c.name)
			}
		}
	}
}

func TestAnInstanceWithoutAMachineSaysForItself(t *testing.T) {
	g := guest(t, "", "")
	g.Instance, g.Machine = machine.Instance{Namespace: "plant", Name: "press", NICs: g.Machine.NICs, Asked: `[{"name": "line", "ips": ["10.1.0.1"]}]`}, machine.Machine{}
	own, _ := attachment.Requests(annotation(pods["hashes"]), "plant")
	if requests, gaps := kubevirt.Ask(g, own); len(gaps) > 0 || fmt.Sprint(requests[0].Addresses) != "[10.1.0.1/32]" || requests[1].MAC == nil {
		t.Errorf("%v %v", requests, gaps)
	}
}

func TestNICsHaveTheNamesThatKubeVirtGivesThem(t *testing.T) {
	if name := kubevirt.Interface("red"); name != "podb1f51a511f1" { // as its own tests have it
		t.Errorf("have %s", name)
	}
}

func FuzzAsk(f *testing.F) {
	f.Add(`[{"name": "line", "ips": ["10.1.0.1"]}]`, "line, line", annotation(pods["hashes"]))
	f.Add(`[{"name": "line", "mac": "02:00:00:00:00:07"}, {"name": "line"}]`, "", annotation(pods["ordinals"]))
	f.Fuzz(func(t *testing.T, own, template, pod string) {
		requests, gaps := attachment.Requests(pod, "plant")
		if len(gaps) > 0 {
			return
		}
		g := guest(t, "", "")
		g.Machine.Own, g.Machine.Template = own, template
		joined, _ := kubevirt.Ask(g, requests)
		if len(joined) != len(requests) {
			t.Fatalf("%d requests of %d", len(joined), len(requests))
		}
		for i := range joined {
			if joined[i].Interface != requests[i].Interface || joined[i].Name != requests[i].Name || joined[i].Namespace != requests[i].Namespace {
				t.Fatalf("%v is %v now", requests[i], joined[i])
			}
		}
	})
}
