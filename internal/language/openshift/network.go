package openshift

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"

	"weftnet.io/weftnet/internal/policy/gap"
)

// What the object is, and where it is served (github.com/openshift/api, operator/v1).
const (
	Kind     = "Network"
	Resource = "networks"
	Name     = "cluster" // no other object of the kind counts
)

// GroupVersion is that of the object.
var GroupVersion = schema.GroupVersion{Group: "operator.openshift.io", Version: "v1"}

// Network is one that the configuration names.
type Network struct {
	Namespace, Name string // of the definition
	Config          string // a CNI configuration in JSON; empty: none can be said
	Field           string // where that stands: spec.additionalNetworks[0].rawCNIConfig
	Gaps            []gap.Gap
}

// element is one of spec.additionalNetworks.
type element struct {
	Name         string   `json:"name"`
	Namespace    string   `json:"namespace"`
	Type         string   `json:"type"`
	RawCNIConfig string   `json:"rawCNIConfig"`
	Simple       *macvlan `json:"simpleMacvlanConfig"`
}

type macvlan struct {
	Master string `json:"master"`
	Mode   string `json:"mode"`
	MTU    int    `json:"mtu"`
	IPAM   *struct {
		Type   string  `json:"type"`
		Static *static `json:"staticIPAMConfig"`
	} `json:"ipamConfig"`
}

type static struct {
	Addresses []struct {
		Address string `json:"address"`
		Gateway string `json:"gateway,omitempty"`
	} `json:"addresses"`
	Routes []struct {
		Destination string `json:"destination"`
		Gateway     string `json:"gateway"`
	} `json:"routes"`
	DNS *struct {
		Nameservers []string `json:"nameservers,omitempty"`
		Domain      string   `json:"domain,omitempty"`
		Search      []string `json:"search,omitempty"`
	} `json:"dns"`
}

// Networks are those of an object in JSON, in its order. Its error is that the object cannot be read at all.
func Networks(object []byte) (out []Network, err error) {
	var n struct {
		Spec struct {
			AdditionalNetworks []element `json:"additionalNetworks"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(object, &n); err != nil {
		return nil, fmt.Errorf("read spec.additionalNetworks: %w", err)
	}
	seen := map[string]int{}
	for i, e := range n.Spec.AdditionalNetworks {
		one := e.network(fmt.Sprintf("spec.additionalNetworks[%d]", i))
		title := one.Namespace + "/" + one.Name
		if other, twice := seen[title]; twice {
			one.reject(gap.Invalid, fmt.Sprintf("spec.additionalNetworks[%d].name", i), "%s is spec.additionalNetworks[%d] already", title, other)
			one.Config = ""
		} else {
			seen[title] = i
		}
		out = append(out, one)
	}
	return out, nil
}

func (n *Network) reject(reason gap.Reason, field, because string, args ...any) {
	n.Gaps = append(n.Gaps, gap.Gap{Reason: reason, Field: field, Message: fmt.Sprintf(because, args...)})
}

func (e element) network(field string) Network {
	n := Network{Namespace: cmp.Or(e.Namespace, metav1.NamespaceDefault), Name: e.Name, Field: field + ".rawCNIConfig"}
	if e.Name == "" || len(validation.IsDNS1123Subdomain(e.Name)) > 0 {
		n.reject(gap.Invalid, field+".name", "%q is no name of an object: small letters, digits, - and . may be in it", e.Name)
	}
	switch e.Type {
	case "Raw":
		n.Config = e.RawCNIConfig
		if strings.TrimSpace(e.RawCNIConfig) == "" {
			n.reject(gap.Invalid, n.Field, "it is empty; a network of type Raw has its CNI configuration there")
		}
	case "SimpleMacvlan":
		n.Field = field + ".simpleMacvlanConfig"
		n.Config = e.simple()
	default:
		n.reject(gap.NotImplemented, field+".type", "a network of type %q is not made here: Raw has a CNI configuration in rawCNIConfig, SimpleMacvlan the fields of simpleMacvlanConfig", e.Type)
	}
	return n
}

// simple is the configuration of a macvlan network. Without fields it lies on the device of the node's default route, with addresses by DHCP.
func (e element) simple() string {
	var own macvlan
	if e.Simple != nil {
		own = *e.Simple
	}
	ipam := map[string]any{"type": "dhcp"}
	if own.IPAM != nil && strings.EqualFold(own.IPAM.Type, "static") {
		ipam["type"] = "static"
		if s := own.IPAM.Static; s != nil {
			s.into(ipam)
		}
	}
	conf := map[string]any{
		"cniVersion": "0.3.1", "name": e.Name, "type": "macvlan", "mode": cmp.Or(strings.ToLower(own.Mode), "bridge"), "ipam": ipam,
	}
	if own.Master != "" {
		conf["master"] = own.Master
	}
	if own.MTU != 0 {
		conf["mtu"] = own.MTU
	}
	text, err := json.MarshalIndent(conf, "", "  ")
	if err != nil {
		panic(err) // of texts and numbers
	}
	return string(text)
}

// into puts static addresses where the plugin looks for them.
func (s *static) into(ipam map[string]any) {
	if len(s.Addresses) > 0 {
		ipam["addresses"] = s.Addresses
	}
	if len(s.Routes) > 0 {
		var routes []map[string]string
		for _, r := range s.Routes {
			one := map[string]string{"dst": r.Destination}
			if r.Gateway != "" {
				one["gw"] = r.Gateway
			}
			routes = append(routes, one)
		}
		ipam["routes"] = routes
	}
	if s.DNS != nil {
		ipam["dns"] = s.DNS
	}
}
