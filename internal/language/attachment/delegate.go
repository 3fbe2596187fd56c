package attachment

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/ipam/dhcp"
	"weftnet.io/weftnet/internal/policy/gap"
)

// Delegate is what the plugins of a definition are told for one NIC.
type Delegate struct {
	Config       json.RawMessage // a list of CNI configurations
	Capabilities json.RawMessage // what the workload asks for, by capability: each plugin gets what it declares
	Addresses    []netip.Prefix  // that the NIC will have, if they are known before
	DHCP         json.RawMessage // part ipam of the configuration, which plugins are not told then: the NIC gets its addresses when it is made
}

// most of a plugin's names that run here under another one, and those that cannot run, with what takes their place.
var (
	substitutes = map[string]string{"cnv-bridge": "bridge", "cnv-tuning": "tuning"}
	unfit       = map[string]string{
		"ovn-k8s-cni-overlay": "networks of OVN-Kubernetes exist only where it runs; type cilium-cni gives a NIC in the pod network",
		"macvtap":             "it needs a device plugin that makes its devices; type macvlan, to which KubeVirt binds by a bridge, is in its place",
	}
)

// version is that of configurations which name none: all plugins of today understand it.
const version = "1.0.0"

// Unfit says what keeps any workload from being attached by a definition that can be read.
func (d *Definition) Unfit() (gaps []gap.Gap) {
	for i, p := range d.Plugins {
		field := "type"
		if len(d.Plugins) > 1 {
			field = fmt.Sprintf("plugins[%d].type", i)
		}
		if instead, ok := unfit[p.Type]; ok {
			gaps = append(gaps, gap.Gap{Reason: gap.NotImplemented, Field: field, Message: fmt.Sprintf("%s is not served here: %s", p.Type, instead)})
		}
		switch {
		case p.Type != OwnType || p.IPAM.Type == "":
		case p.Network != "" && p.IPAM.Type != ClusterIPAM && p.IPAM.Type != "static":
			gaps = append(gaps, gap.Gap{Reason: gap.NotImplemented, Field: "ipam.type", Message: fmt.Sprintf("%q gives no addresses of an overlay network: %s does, also without ipam; and with static workloads say their own", p.IPAM.Type, ClusterIPAM)})
		case p.Network == "" && p.IPAM.Type != "cilium":
			gaps = append(gaps, gap.Gap{Reason: gap.NotImplemented, Field: "ipam.type", Message: fmt.Sprintf("%q gives no addresses of the pod network: leave ipam out", p.IPAM.Type)})
		}
		if p.Type == OwnType && p.Network != "" && len(d.Plugins) > 1 {
			gaps = append(gaps, gap.Gap{Reason: gap.NotImplemented, Field: "plugins", Message: "a NIC in an overlay network is made by the agent alone: other plugins do not change it; write the one configuration without a list"})
		}
	}
	return gaps
}

// OwnType is the plugin whose NICs are in the pod network, or in an overlay network, which the agent makes itself.
const OwnType = "cilium-cni"

// Own tells whether the agent makes the NICs of a definition itself.
func (d *Definition) Own() bool { return len(d.Plugins) == 1 && d.Plugins[0].Type == OwnType }

// Delegate says what the plugins are told for one request. With a gap the NIC cannot be made.
func (d *Definition) Delegate(q Request) (out Delegate, gaps []gap.Gap) {
	if gaps = d.Unfit(); len(gaps) > 0 {
		return out, gaps
	}
	if len(d.Plugins) == 0 {
		return out, []gap.Gap{{Reason: gap.Invalid, Field: "spec.config", Message: "it is empty, and no file on the node has a configuration of its name"}}
	}
	plugins := make([]json.RawMessage, len(d.Plugins))
	for i := range d.Plugins {
		p := &d.Plugins[i]
		conf := map[string]json.RawMessage{}
		if err := json.Unmarshal(p.Raw, &conf); err != nil {
			return out, []gap.Gap{{Reason: gap.Invalid, Field: "spec.config", Message: err.Error()}}
		}
		for _, key := range []string{"name", "cniVersion"} { // they are the list's
			delete(conf, key)
		}
		if as, ok := substitutes[p.Type]; ok {
			set(conf, "type", as)
		}
		guarded(conf, p)
		if i == 0 && p.IPAM.Type == typeDHCP {
			gaps = append(gaps, lease(conf, p, q, &out)...)
			first(conf, q)
		} else if i == 0 {
			addresses, more := ipam(conf, p, q)
			out.Addresses, gaps = addresses, append(gaps, more...)
			first(conf, q)
		}
		if len(q.Args) > 0 {
			arguments(conf, q.Args)
		}
		plugins[i] = encode(conf)
	}
	list := map[string]any{"cniVersion": d.Version, "name": d.Network, "plugins": plugins}
	if d.Version == "" {
		list["cniVersion"], list["disableCheck"] = version, true // it states no version, so none that has CHECK
	}
	for key, text := range d.Disabled {
		list[key] = text
	}
	out.Config = encode(list)
	out.Capabilities = capabilities(q)
	return out, gaps
}

// MACGuard takes the place of macspoofchk in what plugin bridge is told: the agent looks at MAC addresses at the NIC's port itself. The plugin
// would do it by nftables.
const MACGuard = "weftnet.io/mac-guard"

func guarded(conf map[string]json.RawMessage, p *Plugin) {
	asked := false
	if p.Type != "bridge" && p.Type != "cnv-bridge" || json.Unmarshal(conf["macspoofchk"], &asked) != nil {
		return
	}
	delete(conf, "macspoofchk")
	if asked {
		set(conf, MACGuard, true)
	}
}

// typeDHCP is the kind of ipam whose addresses are the agent's business, not a plugin's.
const typeDHCP = "dhcp"

// leased are the types whose plugins make a NIC without addresses.
var leased = []string{"macvlan", "bridge", "cnv-bridge", "host-device"}

// lease takes the part ipam out of a configuration: the agent asks for addresses when the NIC is there.
func lease(conf map[string]json.RawMessage, p *Plugin, q Request, out *Delegate) (gaps []gap.Gap) {
	whole := map[string]json.RawMessage{}
	_ = json.Unmarshal(conf["ipam"], &whole) // Define has read it
	delete(conf, "ipam")
	out.DHCP, out.Addresses = encode(whole), q.Addresses
	if _, more := dhcp.Parse(out.DHCP, nil); len(address.Invalid(more)) > 0 {
		gaps = append(gaps, address.Invalid(more)...)
	}
	if !slices.Contains(leased, p.Type) {
		gaps = append(gaps, gap.Gap{Reason: gap.NotImplemented, Field: "ipam.type", Message: fmt.Sprintf("NICs of type %s get no address by DHCP: their plugin makes none without addresses; those of type macvlan do, also on a VLAN device such as ens192.100", p.Type)})
	}
	return gaps
}

// first tells the plugin that makes the NIC what it is to be made of, and that it takes what the workload asks for. Upstream a plugin gets
// ips and mac only if its definition declares them.
func first(conf map[string]json.RawMessage, q Request) {
	if q.DeviceID != "" {
		set(conf, "deviceID", q.DeviceID)
	}
	declared := map[string]bool{}
	_ = json.Unmarshal(conf["capabilities"], &declared) // Define has read it
	if q.MAC != nil {
		declared["mac"] = true
	}
	var kind struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(conf["ipam"], &kind) // as above
	switch {
	case kind.Type == "static":
		delete(declared, "ips") // they stand in the configuration, with their gateways, which this would take away
	case len(q.Addresses) > 0:
		declared["ips"] = true
	}
	if len(declared) > 0 {
		set(conf, "capabilities", declared)
	} else {
		delete(conf, "capabilities")
	}
}

// ipam puts the addresses of a workload in place of those in the configuration.
func ipam(conf map[string]json.RawMessage, p *Plugin, q Request) (addresses []netip.Prefix, gaps []gap.Gap) {
	if p.IPAM.Type == "" && len(q.Addresses) == 0 || p.IPAM.Type != "" && p.IPAM.Type != "static" {
		return nil, nil
	}
	reject := func(because string, args ...any) {
		gaps = append(gaps, gap.Gap{Reason: gap.Invalid, Field: "ipam.addresses", Message: fmt.Sprintf(because, args...)})
	}
	type address struct {
		Address string `json:"address"`
		Gateway string `json:"gateway,omitempty"`
	}
	var list []address
	add := func(prefix netip.Prefix, gateway netip.Addr) {
		one := address{Address: prefix.String()}
		if gateway.IsValid() {
			one.Gateway = gateway.String()
		}
		list, addresses = append(list, one), append(addresses, prefix)
	}
	for _, a := range q.Addresses {
		at := slices.IndexFunc(p.IPAM.Addresses, func(of Address) bool { return of.Prefix.Masked().Contains(a.Addr()) })
		gateway := netip.Addr{}
		if at >= 0 {
			of := p.IPAM.Addresses[at]
			if gateway = of.Gateway; a.IsSingleIP() {
				a = netip.PrefixFrom(a.Addr(), of.Prefix.Bits())
			}
		}
		if a == a.Masked() && !a.IsSingleIP() {
			reject("%s, which the pod asks for, is the subnet's own address, which no NIC can have", a)
			continue
		}
		add(a, gateway)
	}
	if len(q.Addresses) == 0 {
		for _, a := range p.IPAM.Addresses {
			if a.Prefix == a.Prefix.Masked() && !a.Prefix.IsSingleIP() {
				reject(`%s is the subnet's own address, which no NIC can have; the pod says its own, as "ips": ["%s/%d"] in its annotation`, a.Prefix, free(a), a.Prefix.Bits())
				continue
			}
			add(a.Prefix, a.Gateway)
		}
		if len(p.IPAM.Addresses) == 0 {
			reject(`it gives no address (ipam of type static); the pod says its own, as "ips": ["192.168.100.10/24"] in its annotation`)
		}
	}
	whole := map[string]json.RawMessage{}
	_ = json.Unmarshal(conf["ipam"], &whole) // Define has read it; or there is none
	set(whole, "type", "static")
	set(whole, "addresses", list)
	set(conf, "ipam", whole)
	return addresses, gaps
}

// free is an address of a subnet that a NIC may have, as far as the subnet's own line tells.
func free(a Address) netip.Addr {
	one := a.Prefix.Masked().Addr().Next()
	if one == a.Gateway {
		one = one.Next()
	}
	return one
}

// arguments puts cni-args where plugins look for them (CNI conventions, "args").
func arguments(conf map[string]json.RawMessage, more map[string]json.RawMessage) {
	args, inner := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	_ = json.Unmarshal(conf["args"], &args) // others' conventions are left alone
	_ = json.Unmarshal(args["cni"], &inner)
	maps.Copy(inner, more)
	set(args, "cni", inner)
	set(conf, "args", args)
}

// capabilities are what a workload asks for, by the names of CNI's conventions.
func capabilities(q Request) json.RawMessage {
	asked := map[string]any{}
	if len(q.Addresses) > 0 {
		asked["ips"] = texts(q.Addresses)
	}
	if q.MAC != nil {
		asked["mac"] = q.MAC.String()
	}
	if q.InfinibandGUID != nil {
		asked["infinibandGUID"] = q.InfinibandGUID.String()
	}
	if len(q.Ports) > 0 {
		asked["portMappings"] = q.Ports
	}
	if q.Bandwidth != nil {
		asked["bandwidth"] = q.Bandwidth
	}
	if q.DeviceID != "" {
		asked["deviceID"] = q.DeviceID
	}
	if len(asked) == 0 {
		return nil
	}
	return encode(asked)
}

func texts(list []netip.Prefix) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
		if p.IsSingleIP() { // as most people write it
			out[i] = p.Addr().String()
		}
	}
	return out
}

func set(in map[string]json.RawMessage, key string, value any) { in[key] = encode(value) }

// encode is canonical: maps are in the order of their keys.
func encode(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // of texts, numbers and what was read as JSON
	}
	return text
}

// Text is all that a request says, but for the definition's name and the place in the annotation: with another text it is another NIC.
func (q Request) Text() string {
	q.Field, q.Pinned, q.Namespace, q.Name, q.Interface = "", false, "", "", ""
	return strings.TrimSpace(string(encode(q)))
}
