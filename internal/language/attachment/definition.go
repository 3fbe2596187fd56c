package attachment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"weftnet.io/weftnet/internal/policy/gap"
)

// Definition is what a NetworkAttachmentDefinition says.
type Definition struct {
	Namespace, Name string
	Network         string                     // the configuration's own name; without one it is that of the object
	Version         string                     // cniVersion
	Disabled        map[string]json.RawMessage // disableCheck and disableGC, as they stand
	Plugins         []Plugin                   // the first makes the NIC, the others change it; none: the configuration lies on the nodes' disks (table network-files)
}

// Plugin is one plugin's configuration.
type Plugin struct {
	Type         string
	Master       string // uplink, of macvlan, ipvlan and vlan
	Inside       bool   // … which is a device of the workload's namespace
	Bridge       string // of bridge and ovs
	VLAN         int    // tag on the uplink or bridge; 0: none
	Network      string // overlay network of cilium-cni; empty: the pod network
	DeviceID     string
	Links        []string // of bond
	MTU          int
	Capabilities map[string]bool
	IPAM         IPAM
	Persistent   bool // addresses outlive pods, in IPAMClaims (allowPersistentIPs)
	Raw          json.RawMessage
}

// IPAM is how a plugin's NICs get their addresses.
type IPAM struct {
	Type      string
	Addresses []Address // of type static
}

// Address is one of a static list. Gateway zero: none.
type Address struct {
	Prefix  netip.Prefix
	Gateway netip.Addr
}

// plugin is the configuration as it is written. What several plugins write differently is text or a number.
type plugin struct {
	CNIVersion   string            `json:"cniVersion"`
	Name         string            `json:"name"`
	Type         string            `json:"type"`
	Plugins      []json.RawMessage `json:"plugins"`
	DisableCheck json.RawMessage   `json:"disableCheck"`
	DisableGC    json.RawMessage   `json:"disableGC"`
	Master       string            `json:"master"`
	Inside       bool              `json:"linkInContainer"`
	Bridge       string            `json:"bridge"`
	VLAN         json.Number       `json:"vlan"`
	VLANID       json.Number       `json:"vlanId"`
	Network      string            `json:"network"`
	DeviceID     string            `json:"deviceID"`
	Links        []json.RawMessage `json:"links"`
	MTU          json.Number       `json:"mtu"`
	Capabilities map[string]bool   `json:"capabilities"`
	Persistent   bool              `json:"allowPersistentIPs"`
	IPAM         struct {
		Type      string `json:"type"`
		Addresses []struct {
			Address string `json:"address"`
			Gateway string `json:"gateway"`
		} `json:"addresses"`
	} `json:"ipam"`
}

// versions are those of the CNI specification.
var versions = map[string]bool{"0.1.0": true, "0.2.0": true, "0.3.0": true, "0.3.1": true, "0.4.0": true, "1.0.0": true, "1.1.0": true}

// Define reads the configuration of a definition. With a gap of reason Invalid nothing can be attached by it.
func Define(namespace, name, config string) (Definition, []gap.Gap) {
	d := &definer{Definition: Definition{Namespace: namespace, Name: name, Network: name}}
	if strings.TrimSpace(config) == "" {
		return d.Definition, nil
	}
	var whole plugin
	if err := decode([]byte(config), &whole); err != nil {
		d.reject("", "it cannot be read as a CNI configuration: %s", err)
		return d.Definition, d.gaps
	}
	if whole.Name != "" {
		d.Network = whole.Name
	}
	d.Version = whole.CNIVersion
	for key, text := range map[string]json.RawMessage{"disableCheck": whole.DisableCheck, "disableGC": whole.DisableGC} {
		if whole.Plugins != nil && len(text) > 0 {
			set(d.disabled(), key, text)
		}
	}
	if d.Version != "" && !versions[d.Version] {
		d.reject("cniVersion", "there is no version %s of CNI; 1.0.0 is understood by all plugins of today", d.Version)
	}
	switch {
	case whole.Plugins == nil:
		d.plugin("", []byte(config), whole)
	case whole.Type != "":
		d.reject("type", "it has both a type, as one plugin has, and plugins, as a list has; keep one")
	case len(whole.Plugins) == 0:
		d.reject("plugins", "the list is empty, so nothing makes the NIC")
	}
	for i, text := range whole.Plugins {
		field := fmt.Sprintf("plugins[%d]", i)
		var one plugin
		if err := decode(text, &one); err != nil {
			d.reject(field, "%s", err)
			continue
		}
		d.plugin(field, text, one)
	}
	d.gaps = append(d.gaps, d.ungrantable()...)
	return d.Definition, d.gaps
}

// decode reads JSON in which a number may stand as text.
func decode(text []byte, into *plugin) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	err := decoder.Decode(into)
	if err == nil && len(bytes.TrimSpace(text[decoder.InputOffset():])) > 0 {
		return fmt.Errorf("there is more text behind the end of the configuration")
	}
	if err != nil {
		return fmt.Errorf("%s", reason(err))
	}
	return nil
}

func (d *Definition) disabled() map[string]json.RawMessage {
	if d.Disabled == nil {
		d.Disabled = map[string]json.RawMessage{}
	}
	return d.Disabled
}

type definer struct {
	Definition
	gaps []gap.Gap
}

func (d *definer) reject(field, because string, args ...any) {
	d.gaps = append(d.gaps, gap.Gap{Reason: gap.Invalid, Field: field, Message: fmt.Sprintf(because, args...)})
}

// under is a field of a plugin.
func under(field, name string) string { return strings.TrimPrefix(field+"."+name, ".") }

func (d *definer) plugin(field string, text []byte, one plugin) {
	if one.Type == "" {
		d.reject(under(field, "type"), "it names no plugin: without a type nothing makes the NIC")
	}
	p := Plugin{
		Type: one.Type, Master: one.Master, Inside: one.Inside, Bridge: one.Bridge, Network: one.Network, DeviceID: one.DeviceID,
		Capabilities: one.Capabilities, IPAM: IPAM{Type: one.IPAM.Type}, Persistent: one.Persistent, Raw: text,
	}
	p.VLAN = d.number(under(field, "vlan"), one.VLAN, 4094)
	if one.VLANID != "" {
		p.VLAN = d.number(under(field, "vlanId"), one.VLANID, 4094)
	}
	p.MTU = d.number(under(field, "mtu"), one.MTU, 1<<16)
	for _, text := range one.Links {
		var link struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(text, &link) == nil && link.Name != "" {
			p.Links = append(p.Links, link.Name)
		}
	}
	for i, a := range one.IPAM.Addresses {
		at := under(field, fmt.Sprintf("ipam.addresses[%d]", i))
		own, err := netip.ParsePrefix(a.Address)
		if err != nil {
			d.reject(at+".address", "%q is no address with the length of its subnet, such as 192.168.100.10/24", a.Address)
			continue
		}
		address := Address{Prefix: own}
		if a.Gateway != "" {
			if address.Gateway, err = netip.ParseAddr(a.Gateway); err != nil {
				d.reject(at+".gateway", "%q is no address", a.Gateway)
			}
		}
		p.IPAM.Addresses = append(p.IPAM.Addresses, address)
	}
	d.Plugins = append(d.Plugins, p)
}

func (d *definer) number(field string, text json.Number, limit int64) int {
	if text == "" {
		return 0
	}
	n, err := text.Int64()
	if err != nil || n < 0 || n > limit {
		d.reject(field, "%s is not a number from 0 to %d", text, limit)
		return 0
	}
	return int(n)
}

// Main is the plugin that makes the NIC; nil: the configuration lies on the nodes' disks, or could not be read.
func (d *Definition) Main() *Plugin {
	if len(d.Plugins) == 0 {
		return nil
	}
	return &d.Plugins[0]
}

// Declares tells whether any plugin takes a capability from the workload, such as ips.
func (d *Definition) Declares(capability string) bool {
	for _, p := range d.Plugins {
		if p.Capabilities[capability] {
			return true
		}
	}
	return false
}
