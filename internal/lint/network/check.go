package network

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/language/netobject"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/manifest"
	"weftnet.io/weftnet/internal/policy/gap"
)

// definition is a NetworkAttachmentDefinition with the object that it stands in.
type definition struct {
	attachment.Definition
	in          *manifest.Object
	field       string // of the configuration
	annotations map[string]string
	broken      bool
	subnets     []netip.Prefix // of its overlay network; nil: it has none, or that is not known
}

func (d *definition) title() string { return d.Namespace + "/" + d.Name }

type checker struct {
	definitions map[string]*definition
	overlays    map[string]netobject.Overlay
	findings    []lint.Finding
}

// Check looks at all objects, which it takes together: as one cluster would have them. Problems are those that came with the objects.
func Check(objects []*manifest.Object, problems []manifest.Problem) []lint.Finding {
	c := &checker{definitions: map[string]*definition{}, overlays: map[string]netobject.Overlay{}}
	for _, p := range problems {
		if !p.Other {
			c.findings = append(c.findings, lint.Finding{
				File: p.File, Line: p.Line, Column: p.Column, Object: title(p.Object), Field: p.Field, Severity: lint.Error, Check: "syntax", Does: p.Message,
			})
		}
	}
	c.twice(objects)
	for _, o := range objects {
		c.define(o)
	}
	for _, name := range slices.Sorted(maps.Keys(c.definitions)) {
		for _, check := range definitionChecks {
			if d := c.definitions[name]; !d.broken {
				check(c, d)
			}
		}
	}
	var all []*workload
	for _, o := range objects {
		if w := c.read(o); w != nil {
			all = append(all, w)
		}
	}
	for _, w := range all {
		for _, check := range workloadChecks {
			check(c, w)
		}
	}
	c.guests(objects)
	c.sameAddress(all)
	c.sameWire()
	slices.SortStableFunc(c.findings, func(a, b lint.Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Field, b.Field))
	})
	return slices.Compact(c.findings)
}

// add notes a finding about a field of an object; within a configuration, which is a text, it is one of the text.
func (c *checker) add(o *manifest.Object, severity lint.Severity, check, field, does, meant, fix string) {
	p := o.At(field)
	c.findings = append(c.findings, lint.Finding{
		File: p.File, Line: p.Line, Column: p.Column, Object: title(o), Field: field, Severity: severity, Check: check, Does: does, Meant: meant, Fix: fix,
	})
}

// within notes a finding about a field of a configuration.
func (c *checker) within(d *definition, severity lint.Severity, check, field, does, meant, fix string) {
	c.add(d.in, severity, check, d.field, strings.TrimPrefix(field+": ", ": ")+does, meant, fix)
}

func (c *checker) gaps(o *manifest.Object, at string, gaps []gap.Gap) {
	for _, g := range gaps {
		c.add(o, lint.Error, "rejected", at, strings.TrimPrefix(g.String(), ": "), "", "")
	}
}

// short are the names of kinds in messages.
var short = map[string]string{"NetworkAttachmentDefinition": "nad", "VirtualMachine": "vm", "VirtualMachineInstance": "vmi", "Pod": "pod"}

func title(o *manifest.Object) string {
	if o == nil {
		return ""
	}
	kind := cmp.Or(short[o.Kind], strings.ToLower(o.Kind))
	if o.Kind == "Network" || isOverlay(o) {
		return kind + " " + o.Name
	}
	return kind + " " + namespace(o) + "/" + o.Name
}

func namespace(o *manifest.Object) string { return cmp.Or(o.Namespace, metav1.NamespaceDefault) }

// IsChecked tells whether an object may ask for further networks, or defines one.
func IsChecked(o *manifest.Object) bool {
	_, workload := manifest.TemplateDepth(o.Kind)
	return workload || IsDefinition(o) || isOpenShift(o) || isOverlay(o)
}

// twice finds objects that stand twice among the files: only what is applied last stays.
func (c *checker) twice(objects []*manifest.Object) {
	first := map[string]*manifest.Object{}
	for _, o := range objects {
		if !IsChecked(o) || isOpenShift(o) {
			continue
		}
		group, _, _ := strings.Cut(o.APIVersion, "/")
		key := group + " " + title(o)
		other, there := first[key]
		if !there {
			first[key] = o
			continue
		}
		if string(other.JSON) == string(o.JSON) {
			c.add(o, lint.Hint, "twice", "", fmt.Sprintf("it stands at %s, too, and says the same", other.At("")), "", "")
			continue
		}
		c.add(o, lint.Error, "twice", "", fmt.Sprintf("it is another %s at %s: what is applied last stays, and the other is gone", title(o), other.At("")),
			"two objects of different names", "name: "+o.Name+"-2")
	}
}
