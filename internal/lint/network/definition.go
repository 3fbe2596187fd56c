package network

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/openshift"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/policy/gap"
)

// IsDefinition tells whether an object is a NetworkAttachmentDefinition.
func IsDefinition(o *manifest.Object) bool {
	return o.Kind == "NetworkAttachmentDefinition" && strings.HasPrefix(o.APIVersion, cncfv1.SchemeGroupVersion.Group+"/")
}

func isOpenShift(o *manifest.Object) bool {
	return o.Kind == openshift.Kind && strings.HasPrefix(o.APIVersion, openshift.GroupVersion.Group+"/")
}

// define reads what defines networks.
func (c *checker) define(o *manifest.Object) {
	switch {
	case IsDefinition(o):
		var d cncfv1.NetworkAttachmentDefinition
		if err := o.Decode(&d); err != nil {
			c.add(o, lint.Error, "schema", "spec", "it cannot be read: "+err.Error(), "", "")
			return
		}
		c.definition(o, namespace(o), o.Name, "spec.config", d.Spec.Config, d.Annotations)
	case isOpenShift(o):
		c.additional(o)
	case isOverlay(o):
		c.overlay(o)
	}
}

// additional reads the additionalNetworks of an OpenShift cluster, which become definitions.
func (c *checker) additional(o *manifest.Object) {
	networks, err := openshift.Networks(o.JSON)
	if err != nil {
		c.add(o, lint.Error, "schema", "spec.additionalNetworks", "it cannot be read: "+err.Error(), "", "")
		return
	}
	for _, n := range networks {
		for _, g := range n.Gaps {
			severity, check := lint.Error, "rejected"
			if g.Reason == gap.NotImplemented {
				severity, check = lint.Warning, "partial"
			}
			c.add(o, severity, check, g.Field, g.Message, "", "")
		}
		if len(n.Gaps) == 0 {
			c.definition(o, n.Namespace, n.Name, n.Field, n.Config, nil)
		}
	}
}

func (c *checker) definition(o *manifest.Object, in, name, field, config string, annotations map[string]string) {
	d := &definition{in: o, field: field, annotations: annotations}
	read, gaps := attachment.Define(in, name, config)
	d.Definition, d.broken = read, len(gaps) > 0
	c.gaps(o, field, gaps)
	c.definitions[d.title()] = d // of two the later stays
}

// definitionChecks are run on every definition that can be read.
var definitionChecks = []func(*checker, *definition){
	(*checker).static,
	(*checker).device,
	(*checker).plugin,
	(*checker).unfit,
	(*checker).overlaid,
}

// static looks at addresses that stand in a definition, which many workloads share.
func (c *checker) static(d *definition) {
	for i, p := range d.Plugins {
		if p.IPAM.Type != "static" {
			continue
		}
		field := "ipam"
		if len(d.Plugins) > 1 {
			field = fmt.Sprintf("plugins[%d].ipam", i)
		}
		own, capability := false, ""
		if !d.Declares("ips") {
			capability = `; Multus hands ips on only to a plugin that declares it: "capabilities": {"ips": true}`
		}
		for j, a := range p.IPAM.Addresses {
			at := fmt.Sprintf("%s.addresses[%d]", field, j)
			switch {
			case a.Prefix == a.Prefix.Masked() && !a.Prefix.IsSingleIP():
				c.within(d, lint.Warning, "address", at, fmt.Sprintf("%s is the subnet's own address, which no NIC can have", a.Prefix),
					"each workload says its own", fmt.Sprintf(`"ips": ["%s/%d"] in the workload's annotation`, free(a), a.Prefix.Bits())+capability)
			default:
				own = true
			}
			if a.Gateway.IsValid() && !a.Prefix.Masked().Contains(a.Gateway) {
				c.within(d, lint.Warning, "address", at, fmt.Sprintf("gateway %s is not in %s, so no NIC reaches it", a.Gateway, a.Prefix.Masked()), "", "")
			}
		}
		if own {
			c.within(d, lint.Hint, "address", field+".addresses", "each workload that asks for this network gets the same address: one can, a second is a conflict", "", "")
		}
		if len(p.IPAM.Addresses) == 0 {
			c.within(d, lint.Warning, "address", field, "type static gives no address of itself", "each workload says its own", `"ips": ["…"] in the workload's annotation`+capability)
		}
	}
}

// free is an address of a subnet that a NIC may have, as far as the subnet's own line tells.
func free(a attachment.Address) netip.Addr {
	one := a.Prefix.Masked().Addr().Next()
	if one == a.Gateway {
		one = one.Next()
	}
	return one
}

// model is the number of a kind of PCI device, and no device.
var model = regexp.MustCompile(`^(0x)?[0-9a-fA-F]{4}$`)

// device looks at networks whose NICs are devices of the node, which kubelet gives out.
func (c *checker) device(d *definition) {
	p := d.Main()
	if p == nil || p.Type != "sriov" {
		return
	}
	if d.annotations[cncfv1.ResourceNameAnnotation] == "" {
		c.add(d.in, lint.Warning, "device", "metadata", "it names no resource of a device plugin, so nothing gives a workload a virtual function of a NIC",
			"", `annotations: {`+cncfv1.ResourceNameAnnotation+`: openshift.io/…}, which the workload asks for, too`)
	}
	if model.MatchString(p.DeviceID) {
		c.within(d, lint.Warning, "device", "deviceID", fmt.Sprintf("%q is the number of a model of NICs; here stands the address of one device, such as 0000:3b:02.1, and the device plugin says which", p.DeviceID),
			"the selector of the device plugin's own configuration", "remove deviceID")
	}
}

// plugins are types that are known: those of the CNI project, and those that much is written for.
var plugins = []string{
	"bandwidth", "bond", "bridge", "cilium-cni", "cnv-bridge", "cnv-tuning", "dummy", "firewall", "host-device", "ib-sriov", "ipvlan", "loopback", "macvlan", "macvtap",
	"ovn-k8s-cni-overlay", "ovs", "portmap", "ptp", "sbr", "sriov", "tap", "tuning", "vlan", "vrf",
}

func (c *checker) plugin(d *definition) {
	for i, p := range d.Plugins {
		if slices.Contains(plugins, p.Type) {
			continue
		}
		field, meant := "type", attachment.Nearest(p.Type, plugins)
		if len(d.Plugins) > 1 {
			field = fmt.Sprintf("plugins[%d].type", i)
		}
		fix := ""
		if meant != "" {
			fix = fmt.Sprintf("%q: %q", "type", meant)
		}
		c.within(d, lint.Warning, "plugin", field, fmt.Sprintf("plugin %q is none that is known here; each node needs a program of that name among its CNI plugins", p.Type), meant, fix)
	}
}

// unfit looks at what Weftnet attaches no workload by: another plugin may, where the definition comes from.
func (c *checker) unfit(d *definition) {
	for _, g := range d.Unfit() {
		c.within(d, lint.Warning, "unfit", "", g.String(), "", "")
	}
}

// sameWire tells which definitions lead to one wire: what differs is the name alone.
func (c *checker) sameWire() {
	wires := map[attachment.Segment][]string{}
	for _, d := range c.definitions {
		if s := d.Segment(); s != (attachment.Segment{}) && s.Net != attachment.PodNetwork && !d.broken {
			wires[s] = append(wires[s], d.title())
		}
	}
	for s, names := range wires {
		if len(names) < 2 {
			continue
		}
		slices.Sort(names)
		d := c.definitions[names[len(names)-1]]
		c.within(d, lint.Hint, "wire", "", fmt.Sprintf("it leads to the same wire as %s: %s; their NICs reach each other, and share its addresses", strings.Join(names[:len(names)-1], ", "), s), "", "")
	}
}
