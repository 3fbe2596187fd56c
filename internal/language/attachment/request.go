package attachment

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"weftnet.io/weftnet/internal/policy/gap"
)

// Request is one attachment that a workload asks for.
type Request struct {
	Namespace, Name string         // of the definition
	Interface       string         // as the workload sees it: net1 and on, in the order of the list, unless it says another
	Pinned          bool           // the workload names the interface itself
	Twin            bool           // another of its interfaces has a definition of the same name
	Addresses       []netip.Prefix // an address without a length is of one alone
	MAC             net.HardwareAddr
	InfinibandGUID  net.HardwareAddr
	Ports           []PortMapping
	Bandwidth       *Bandwidth
	DeviceID        string                     // of a device plugin's device
	Args            map[string]json.RawMessage // cni-args, for the plugin
	DefaultRoute    []netip.Addr               // gateways: this attachment has the default routes of their families
	IPAMClaim       string                     // name of the IPAMClaim that keeps its addresses
	Field           string                     // where it stands in the annotation: [1]; empty: the annotation is no list in JSON
}

// PortMapping is a port of the node that leads to one of the workload.
type PortMapping struct {
	HostPort      int32  `json:"hostPort"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol,omitempty"`
	HostIP        string `json:"hostIP,omitempty"`
}

// Bandwidth is in bits per second, and bursts in bits.
type Bandwidth struct {
	IngressRate  int64 `json:"ingressRate"`
	IngressBurst int64 `json:"ingressBurst"`
	EgressRate   int64 `json:"egressRate"`
	EgressBurst  int64 `json:"egressBurst"`
}

// item is an element of the annotation in JSON.
type item struct {
	Name           string                     `json:"name"`
	Namespace      string                     `json:"namespace"`
	IPs            []string                   `json:"ips"`
	MAC            string                     `json:"mac"`
	InfinibandGUID string                     `json:"infiniband-guid"`
	Interface      string                     `json:"interface"`
	Old            string                     `json:"interfaceRequest"` // older name of interface
	Ports          []PortMapping              `json:"portMappings"`
	Bandwidth      *Bandwidth                 `json:"bandwidth"`
	DeviceID       string                     `json:"deviceID"`
	Args           map[string]json.RawMessage `json:"cni-args"`
	DefaultRoute   []string                   `json:"default-route"`
	IPAMClaim      string                     `json:"ipam-claim-reference"`
}

// most is the longest name of an interface (IFNAMSIZ without the end).
const most = 15

// Requests reads the networks annotation of a workload in a namespace. With any gap none is to be attached.
func Requests(text, namespace string) ([]Request, []gap.Gap) {
	r := &reader{namespace: namespace}
	if strings.ContainsAny(text, "[{\"") {
		r.list(text)
	} else {
		r.words(text)
	}
	r.interfaces()
	return r.requests, r.gaps
}

type reader struct {
	namespace string
	requests  []Request
	gaps      []gap.Gap
}

func (r *reader) reject(field, because string, args ...any) {
	r.gaps = append(r.gaps, gap.Gap{Reason: gap.Invalid, Field: field, Message: fmt.Sprintf(because, args...)})
}

// words reads storage, infra/management@mgmt.
func (r *reader) words(text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	for _, word := range strings.Split(text, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			r.reject("", "there is nothing between two commas; write NAMESPACE/NAME@INTERFACE, of which the name is needed")
			continue
		}
		name, device, named := strings.Cut(word, "@")
		namespace, rest, both := strings.Cut(name, "/")
		if both {
			name = rest
		} else {
			namespace = r.namespace
		}
		if named && device == "" {
			r.reject("", "%q names no interface behind @", word)
		}
		r.add(Request{Namespace: namespace, Name: name, Interface: device})
	}
}

// list reads the annotation in JSON.
func (r *reader) list(text string) {
	var texts []json.RawMessage
	if err := json.Unmarshal([]byte(text), &texts); err != nil {
		r.reject("", "it is no list in JSON: %v", reason(err))
		return
	}
	for i, text := range texts {
		field := fmt.Sprintf("[%d]", i)
		var one item
		if err := json.Unmarshal(text, &one); err != nil {
			r.reject(field, "%v", reason(err))
			continue
		}
		r.item(field, one)
	}
}

// reason is an error of the JSON package in words of the annotation.
func reason(err error) string {
	if wrong, ok := err.(*json.UnmarshalTypeError); ok {
		return fmt.Sprintf("%s must be %s, and is %s", cmp.Or(wrong.Field, "an item"), kinds[wrong.Type.Kind().String()], cmp.Or(kinds[wrong.Value], wrong.Value))
	}
	return err.Error()
}

var kinds = map[string]string{"string": "text", "slice": "a list", "struct": "an object", "map": "an object", "int32": "a number", "int64": "a number", "ptr": "an object", "number": "a number", "object": "an object", "array": "a list", "bool": "true or false"}

func (r *reader) item(field string, one item) {
	q := Request{
		Namespace: cmp.Or(one.Namespace, r.namespace), Name: one.Name, Interface: cmp.Or(one.Interface, one.Old), Ports: one.Ports,
		Bandwidth: one.Bandwidth, DeviceID: one.DeviceID, Args: one.Args, IPAMClaim: one.IPAMClaim, Field: field,
	}
	if one.Interface != "" && one.Old != "" && one.Interface != one.Old {
		r.reject(field+".interfaceRequest", "it says %q, and interface, which is the same, %q; keep interface", one.Old, one.Interface)
	}
	for i, text := range one.IPs {
		p, err := prefix(text)
		if err != nil {
			r.reject(fmt.Sprintf("%s.ips[%d]", field, i), "%q is neither an address nor one with the length of its subnet, such as 192.168.100.10/24", text)
			continue
		}
		q.Addresses = append(q.Addresses, p)
	}
	q.MAC = r.hardware(field+".mac", one.MAC, 6)
	q.InfinibandGUID = r.hardware(field+".infiniband-guid", one.InfinibandGUID, 8)
	for i, text := range one.DefaultRoute {
		a, err := netip.ParseAddr(text)
		if err != nil {
			r.reject(fmt.Sprintf("%s.default-route[%d]", field, i), "%q is no address of a gateway", text)
			continue
		}
		q.DefaultRoute = append(q.DefaultRoute, a.Unmap())
	}
	r.ports(field, one.Ports)
	r.add(q)
}

func prefix(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		return netip.PrefixFrom(a, a.BitLen()), err
	}
	return netip.ParsePrefix(text)
}

func (r *reader) hardware(field, text string, length int) net.HardwareAddr {
	if text == "" {
		return nil
	}
	a, err := net.ParseMAC(text)
	switch {
	case err != nil || len(a) != length:
		r.reject(field, "%q has not the form of %d bytes such as 02:00:00:00:00:01", text, length)
	case a[0]&1 != 0 && length == 6:
		r.reject(field, "%s is the address of a group: the first byte of a NIC's own is even", text)
	}
	return a
}

func (r *reader) ports(field string, list []PortMapping) {
	for i, p := range list {
		at := fmt.Sprintf("%s.portMappings[%d]", field, i)
		if p.HostPort < 1 || p.HostPort > 65535 || p.ContainerPort < 1 || p.ContainerPort > 65535 {
			r.reject(at, "hostPort and containerPort are from 1 to 65535")
		}
		if p.HostIP != "" {
			if _, err := netip.ParseAddr(p.HostIP); err != nil {
				r.reject(at+".hostIP", "%q is no address", p.HostIP)
			}
		}
		switch strings.ToUpper(p.Protocol) {
		case "", "TCP", "UDP", "SCTP":
		default:
			r.reject(at+".protocol", "%q is not tcp, udp or sctp", p.Protocol)
		}
	}
}

// add takes a request whose name makes sense.
func (r *reader) add(q Request) {
	for _, part := range []struct{ field, text string }{{"name", q.Name}, {"namespace", q.Namespace}} {
		if part.text == "" {
			r.reject(dotted(q.Field, part.field), "it has no %s of a NetworkAttachmentDefinition", part.field)
		} else if len(validation.IsDNS1123Subdomain(part.text)) > 0 {
			r.reject(dotted(q.Field, part.field), "%q is no name of an object: small letters, digits, - and . may be in it", part.text)
		}
	}
	r.requests = append(r.requests, q)
}

func dotted(field, name string) string {
	if field == "" {
		return ""
	}
	return field + "." + name
}

var device = regexp.MustCompile(`^[^/\s]{1,15}$`)

// interfaces gives each request the interface that it has in the workload.
func (r *reader) interfaces() {
	taken := map[string]int{"eth0": -1, "lo": -1}
	for i := range r.requests {
		q := &r.requests[i]
		q.Pinned = q.Interface != ""
		if !q.Pinned {
			q.Interface = fmt.Sprintf("net%d", i+1)
		}
		field := dotted(q.Field, "interface")
		other, twice := taken[q.Interface]
		switch {
		case !device.MatchString(q.Interface) || q.Interface == "." || q.Interface == "..":
			r.reject(field, "%q is no name of an interface: it has 1 to %d characters, none of them a space or /", q.Interface, most)
		case twice && other < 0:
			r.reject(field, "%s is there already: it is an interface of the workload's own; take another name", q.Interface)
		case twice:
			r.reject(field, "%s is the interface of %s/%s already", q.Interface, r.requests[other].Namespace, r.requests[other].Name)
		}
		taken[q.Interface] = i
		for j := range r.requests {
			q.Twin = q.Twin || j != i && r.requests[j].Name == q.Name
		}
	}
	r.routes()
}

// routes looks for two attachments that both want the default route of a family.
func (r *reader) routes() {
	first := map[bool]*Request{}
	for i := range r.requests {
		q := &r.requests[i]
		own := map[bool]bool{}
		for _, a := range q.DefaultRoute {
			family := "IPv4"
			if a.Is6() {
				family = "IPv6"
			}
			switch other := first[a.Is6()]; {
			case own[a.Is6()]:
				r.reject(dotted(q.Field, "default-route"), "it has two gateways of %s; one is the default", family)
			case other != nil && other != q:
				r.reject(dotted(q.Field, "default-route"), "%s/%s has the default route of %s already", other.Namespace, other.Name, family)
			}
			own[a.Is6()], first[a.Is6()] = true, q
		}
	}
}
