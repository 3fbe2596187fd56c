package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	cncfv1 "weftnet.io/weftnet/api/cncf/v1"
	"weftnet.io/weftnet/internal/language/attachment"
	"weftnet.io/weftnet/internal/lint"
	"weftnet.io/weftnet/internal/manifest"
)

// workload is an object that asks for networks.
type workload struct {
	in    *manifest.Object
	asks  []ask
	first []ask    // in place of the cluster's network
	vm    *machine // nil: it is no virtual machine
}

// ask is one network that a workload asks for.
type ask struct {
	attachment.Request
	at string // the field
}

func (a ask) title() string { return a.Namespace + "/" + a.Name }

// meta has annotations.
type meta struct {
	Metadata struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
}

// templates are the fields of pods' metadata, by manifest.TemplateDepth.
var templates = []string{"", "spec.template.", "spec.jobTemplate.spec.template."}

// read finds what a workload asks for; nil: it is none, or asks for nothing.
func (c *checker) read(o *manifest.Object) *workload {
	depth, ok := manifest.TemplateDepth(o.Kind)
	if !ok {
		return nil
	}
	w := &workload{in: o}
	var own meta
	var inner struct {
		Spec struct {
			Template    meta `json:"template"`
			JobTemplate struct {
				Spec struct {
					Template meta `json:"template"`
				} `json:"spec"`
			} `json:"jobTemplate"`
		} `json:"spec"`
	}
	if o.Decode(&own) != nil || o.Decode(&inner) != nil {
		return nil // policies and the API server say so
	}
	if depth == 0 || o.Kind == "VirtualMachine" {
		c.annotation(w, "", own)
	}
	if depth > 0 {
		c.annotation(w, templates[depth], []meta{inner.Spec.Template, inner.Spec.JobTemplate.Spec.Template}[depth-1])
	}
	if strings.HasPrefix(o.Kind, "VirtualMachine") {
		c.machine(w)
	}
	if len(w.asks)+len(w.first) == 0 && w.vm == nil {
		return nil
	}
	return w
}

// annotation reads the requests of an annotation.
func (c *checker) annotation(w *workload, at string, m meta) {
	if text := m.Metadata.Annotations[cncfv1.DefaultNetworkAnnotation]; text != "" {
		field := at + "metadata.annotations." + cncfv1.DefaultNetworkAnnotation
		q, gaps := attachment.Default(text)
		c.gaps(w.in, field, gaps)
		if len(gaps) == 0 {
			w.first = append(w.first, ask{q, field})
		}
	}
	text, there := m.Metadata.Annotations[cncfv1.NetworksAnnotation]
	if !there {
		return
	}
	field := at + "metadata.annotations." + cncfv1.NetworksAnnotation
	requests, gaps := attachment.Requests(text, namespace(w.in))
	c.gaps(w.in, field, gaps)
	for _, q := range requests {
		w.asks = append(w.asks, ask{q, field})
	}
}

// workloadChecks are run on every workload that asks for networks.
var workloadChecks = []func(*checker, *workload){
	(*checker).references,
	(*checker).standIn,
	(*checker).addresses,
	(*checker).interfaces,
}

// references looks for what is asked for and is not there. Each is said once.
func (c *checker) references(w *workload) {
	if len(c.definitions) == 0 {
		return
	}
	said := map[string]bool{}
	for _, a := range w.asks {
		if c.definitions[a.title()] != nil || said[a.title()] {
			continue
		}
		said[a.title()] = true
		elsewhere, similar := c.near(a.Namespace, a.Name)
		does := fmt.Sprintf("there is no NetworkAttachmentDefinition %s, so its pod does not start", a.title())
		switch fits := c.fits(a, append(slices.Clone(similar), elsewhere...)); {
		case len(similar) > 0:
			c.add(w.in, lint.Error, "reference", a.at, does+fits, titles(similar), fmt.Sprintf("%q", similar[0].Name))
		case len(elsewhere) > 0:
			c.add(w.in, lint.Error, "reference", a.at, does+fits, titles(elsewhere)+", which lies in another namespace",
				fmt.Sprintf("copy it to namespace %s; or, where no namespace isolation is set, ask for %s", a.Namespace, elsewhere[0].title()))
		default:
			c.add(w.in, lint.Warning, "reference", a.at, does+", unless it is in the cluster already: none among these files has such a name", "", "")
		}
	}
}

// standIn looks at a network that is to take the place of the cluster's.
func (c *checker) standIn(w *workload) {
	for _, a := range w.first {
		d := c.definitions[a.title()]
		if d == nil && len(c.definitions) > 0 {
			c.add(w.in, lint.Warning, "reference", a.at, fmt.Sprintf("there is no NetworkAttachmentDefinition %s, so its pod does not start, unless it is in the cluster already", a.title()), "", "")
		}
		if d == nil || d.broken {
			continue
		}
		for _, g := range d.StandsIn(a.Request, "eth0") {
			c.add(w.in, lint.Error, "first", a.at, g.Message+", so its pod does not start", "a further NIC with the default route", "ask for it in "+cncfv1.NetworksAnnotation+", with default-route")
		}
	}
}

// fits says which of these lead to a subnet that has the addresses asked for.
func (c *checker) fits(a ask, list []*definition) string {
	for _, d := range list {
		for _, p := range a.Addresses {
			if of := subnets(d); len(of) > 0 && !slices.ContainsFunc(of, func(s netip.Prefix) bool { return s.Contains(p.Addr()) }) {
				return fmt.Sprintf("; %s is near, but its subnet %s has not %s, which is asked for", d.title(), of[0], p.Addr())
			}
		}
	}
	return ""
}

// Asks are the networks that pods of an object ask for, as far as that can be read.
func Asks(o *manifest.Object) (list []attachment.Request) {
	w := (&checker{definitions: map[string]*definition{}}).read(o)
	if w == nil {
		return nil
	}
	for _, a := range w.asks {
		list = append(list, a.Request)
	}
	return list
}
