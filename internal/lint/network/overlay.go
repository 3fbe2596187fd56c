package network

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/policy/gap"
)

func isOverlay(o *manifest.Object) bool {
	return o.Kind == "OverlayNetwork" && strings.HasPrefix(o.APIVersion, netobject.InterfaceVersion.Group+"/")
}

// overlay reads an overlay network.
func (c *checker) overlay(o *manifest.Object) {
	var n netobject.OverlayNetwork
	if err := o.Decode(&n); err != nil {
		c.add(o, lint.Error, "schema", "spec", "it cannot be read: "+err.Error(), "", "")
		return
	}
	for _, g := range netobject.OverlayGaps(&n, gap.Default()) {
		c.add(o, lint.Error, "rejected", g.Field, g.Message, "", "")
	}
	c.overlays[o.Name], _ = netobject.OverlayRow(&n)
}

// overlaid looks at the overlay network that a definition names. Of one that is not among the objects nothing is said while none at all is.
func (c *checker) overlaid(d *definition) {
	name := d.Overlay()
	n, there := c.overlays[name]
	switch {
	case name == "" || len(c.overlays) == 0:
		return
	case !there:
		meant, fix := attachment.Nearest(name, slices.Sorted(maps.Keys(c.overlays))), ""
		if meant != "" {
			fix = fmt.Sprintf("%q: %q", "network", meant)
		}
		c.within(d, lint.Error, "reference", "network", fmt.Sprintf("there is no OverlayNetwork %s, so no pod starts that asks for this", name), meant, fix)
		return
	case n.Lacks != "":
		return // it is said there
	}
	if _, gaps := d.In(n); len(gaps) > 0 && len(d.Unfit()) == 0 {
		c.within(d, lint.Error, "address", "", gap.Text(gaps), "", "")
	}
	d.subnets = n.Subnets
}
