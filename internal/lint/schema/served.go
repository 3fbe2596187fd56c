package schema

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	kvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"weftnet.io/weftnet/internal/language"
)

const refused = ", so the API server refuses the object"

// served checks what the API server asks of an object beside its schema: of the metadata of any kind, and of what is in a
// NetworkPolicy, whose schema has no patterns.
func (v *validation) served(text []byte) {
	var o struct {
		Metadata metav1.ObjectMeta              `json:"metadata"`
		Spec     networkingv1.NetworkPolicySpec `json:"spec"`
	}
	if v.kind != language.KindKubernetes && v.kind != language.KindMultiNetwork {
		var any struct {
			Metadata metav1.ObjectMeta `json:"metadata"`
		}
		if kjson.UnmarshalCaseSensitivePreserveInts(text, &any) == nil {
			v.metadata(&any.Metadata)
		}
		return
	}
	if kjson.UnmarshalCaseSensitivePreserveInts(text, &o) != nil {
		return // its types are wrong, and that is said
	}
	v.metadata(&o.Metadata)
	v.selector(&o.Spec.PodSelector, "spec.podSelector")
	for i, in := range o.Spec.Ingress {
		v.element(in.Ports, in.From, fmt.Sprintf("spec.ingress[%d]", i), "from")
	}
	for i, in := range o.Spec.Egress {
		v.element(in.Ports, in.To, fmt.Sprintf("spec.egress[%d]", i), "to")
	}
	if len(o.Spec.PolicyTypes) > 2 {
		v.add(Format, "spec.policyTypes", "it has more than the two types that there are"+refused, "", "policyTypes: [Ingress, Egress]")
	}
}

// metadata checks names and labels. A name that the API server is to make up is none.
func (v *validation) metadata(m *metav1.ObjectMeta) {
	say := func(at string, problems []string) {
		if len(problems) > 0 {
			v.add(Format, at, plain(strings.Join(problems, "; "))+refused, "", "")
		}
	}
	switch {
	case m.Name != "":
		say("metadata.name", kvalidation.IsDNS1123Subdomain(m.Name))
	case m.GenerateName == "":
		v.add(Format, "metadata", "it has no name"+refused, "", "metadata: {name: …}")
	}
	if m.Namespace != "" {
		say("metadata.namespace", kvalidation.IsDNS1123Label(m.Namespace))
	}
	for key, value := range m.Labels {
		say("metadata.labels."+key, append(kvalidation.IsQualifiedName(key), kvalidation.IsValidLabelValue(value)...))
	}
	for key := range m.Annotations {
		say("metadata.annotations."+key, kvalidation.IsQualifiedName(strings.ToLower(key)))
	}
}

// plain is a sentence of the library without its examples.
func plain(sentence string) string {
	sentence, _, _ = strings.Cut(sentence, " (e.g.")
	return sentence
}

// selector checks one of Kubernetes' own.
func (v *validation) selector(s *metav1.LabelSelector, at string) {
	if s == nil {
		return
	}
	for _, err := range metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, field.NewPath(at)) {
		v.add(Format, err.Field, plain(err.ErrorBody())+refused, "", "")
	}
}

func (v *validation) element(ports []networkingv1.NetworkPolicyPort, peers []networkingv1.NetworkPolicyPeer, at, side string) {
	for i, p := range ports {
		v.port(p, fmt.Sprintf("%s.ports[%d]", at, i))
	}
	for i, p := range peers {
		at := fmt.Sprintf("%s.%s[%d]", at, side, i)
		v.selector(p.PodSelector, at+".podSelector")
		v.selector(p.NamespaceSelector, at+".namespaceSelector")
		if p.IPBlock != nil {
			for _, text := range slices.Concat([]string{p.IPBlock.CIDR}, p.IPBlock.Except) {
				if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Addr().Is4In6() {
					v.add(Format, at+".ipBlock", fmt.Sprintf("%s is IPv4 written as IPv6%s", text, refused), "", "")
				}
			}
		}
	}
}

// port checks one of a NetworkPolicy. What number is a port the reader knows.
func (v *validation) port(p networkingv1.NetworkPolicyPort, at string) {
	switch {
	case p.Port == nil && p.EndPort != nil:
		v.add(Format, at+".endPort", "there is no port, of which endPort would be the last"+refused, fmt.Sprintf("ports up to %d", *p.EndPort), "add port, the first one")
	case p.Port != nil && p.Port.Type == intstr.String:
		name := p.Port.StrVal
		problems := kvalidation.IsValidPortName(name)
		number, err := strconv.ParseUint(name, 10, 16)
		if err == nil && number > 0 {
			v.add(Format, at+".port", fmt.Sprintf("%q is a text, so it is the name of a container port, and a name must contain at least one letter%s", name, refused),
				"port "+name, "port: "+strconv.FormatUint(number, 10))
			return
		}
		if len(problems) > 0 {
			v.add(Format, at+".port", fmt.Sprintf("%q is no name of a container port: it %s%s", name, strings.Join(problems, " and "), refused), "", "")
		}
		if p.EndPort != nil {
			v.add(Format, at+".endPort", "port is a name, and only from a number endPort makes a range"+refused, "", "write port as a number, or leave endPort out")
		}
	}
}
