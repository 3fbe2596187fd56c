// Package random makes worlds and policies at random. What is likely to make a difference is likely.
//
//	rapid.Check(t, func(t *rapid.T) { w := random.World(t); … })
//	w := rapid.Custom(random.World).Example(seed)
package random

import (
	"encoding/json"
	"fmt"

	"pgregory.net/rapid"

	"weftnet.io/weftnet/test/oracle"
)

// World is a small cluster with random policies: five pods, three nodes, services that policies name.
func World(t *rapid.T) *oracle.World { return draw{t}.world() }

// Policy is an object of one of the kinds of policies, not always a valid one.
func Policy(t *rapid.T) oracle.Object { return draw{t}.policy(0) }

// draw makes random JSON.
type draw struct{ *rapid.T }

func (d draw) n(high int) int          { return rapid.IntRange(0, high).Draw(d.T, "n") }
func (d draw) one(of ...string) string { return of[d.n(len(of)-1)] }
func (d draw) odds(of int) bool        { return d.n(of-1) == of-1 } // one in so many; shrinks to false

// some draws a list of 0 to high elements, mostly of one or two.
func (d draw) some(high int, each func() any) []any {
	out := []any{}
	for range []int{1, 1, 1, 2, 2, 0, 3, 4, 5}[d.n(3+high)] {
		out = append(out, each())
	}
	return out
}

// maybe sets a member, one time in so many; and then at times to null, which is as good as absent.
func (d draw) maybe(o oracle.Object, odds int, key string, value func() any) {
	switch {
	case !d.odds(odds):
	case d.odds(12):
		o[key] = nil
	default:
		o[key] = value()
	}
}

var values = map[string][]string{
	"app": {"web", "api", "db", "none"}, "tier": {"front", "back", ""}, "team": {"blue", "red"}, hash: {"x", "y", "z", ""},
}

// hash is a label that the filter keeps out of identities.
const hash = "pod-template-hash"

// selector is for labels of pods in the language of Cilium: with sources, and with labels that say where a pod lives.
func (d draw) selector() oracle.Object {
	key := func() (string, []string) {
		switch d.n(20) {
		case 0, 1, 2, 3, 4:
			return "app", values["app"]
		case 5, 6:
			return "k8s:app", values["app"]
		case 7:
			return "any:app", values["app"]
		case 8, 9:
			return d.one("tier", "k8s:tier", "any:tier", ":tier"), values["tier"]
		case 10, 11:
			return d.one("k8s:", "any:", "") + "io.kubernetes.pod.namespace", []string{"shop", "blog"}
		case 12, 13:
			return d.one("k8s:", "any:", "") + "io.cilium.k8s.namespace.labels.team", values["team"]
		case 14:
			return d.one("k8s:", "") + "io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name", []string{"shop", "blog"}
		case 15:
			return d.one("k8s:", "any:", "") + "io.cilium.k8s.policy.cluster", []string{"here", "there"}
		case 16:
			return "io.cilium.k8s.policy.serviceaccount", []string{"default", "robot"}
		case 17:
			return d.one("reserved:host", "reserved:world", "reserved:remote-node", "reserved:health", "reserved:none"), []string{""}
		case 18:
			return d.one("reserved:init", "cidr:app", "unspec:app"), []string{"", "web"}
		case 19:
			return d.one("k8s:", "any:", "") + hash, values[hash]
		default:
			return "k8s:absent", []string{"x"}
		}
	}
	out := oracle.Object{}
	if d.odds(3) {
		d.maybe(out, 1, "matchExpressions", func() any {
			return d.some(2, func() any {
				key, values := key()
				e := oracle.Object{"key": key, "operator": d.one("In", "NotIn", "Exists", "DoesNotExist")}
				if o := e["operator"]; o == "In" || o == "NotIn" {
					e["values"] = d.list(1, 2, func() any { return d.one(values...) })
				} else if d.odds(8) {
					e["values"] = []any{}
				}
				return e
			})
		})
	}
	if !d.odds(6) {
		labels := oracle.Object{}
		for range 1 + d.n(4)/4 {
			key, values := key()
			labels[key] = d.one(values...)
		}
		out["matchLabels"] = labels
	}
	return out
}

func (d draw) list(low, high int, each func() any) []any {
	out := []any{}
	for range low + d.n(high-low) {
		out = append(out, each())
	}
	return out
}

// plain is a selector of Kubernetes, for labels with these keys.
func (d draw) plain(keys ...string) oracle.Object {
	out := oracle.Object{}
	value := func(key string) string {
		if key == "kubernetes.io/metadata.name" {
			return d.one("shop", "blog")
		}
		return d.one(values[key]...)
	}
	d.maybe(out, 2, "matchLabels", func() any {
		key := d.one(keys...)
		return oracle.Object{key: value(key)}
	})
	d.maybe(out, 3, "matchExpressions", func() any {
		return d.list(1, 2, func() any {
			key := d.one(keys...)
			e := oracle.Object{"key": key, "operator": d.one("In", "NotIn", "Exists", "DoesNotExist")}
			if o := e["operator"]; o == "In" || o == "NotIn" {
				e["values"] = d.list(1, 2, func() any { return value(key) })
			}
			return e
		})
	})
	return out
}

var prefixes = []string{
	"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "192.0.2.0/24", "192.0.2.10/32", "172.16.0.0/12",
	"::/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::1/128", "10.9.9.9/8", "::ffff:10.1.0.0/112",
}

// longer are prefixes inside others.
var longer = map[string][]string{
	"0.0.0.0/0": {"10.0.0.0/8", "10.1.2.3/32", "192.0.2.0/24", "0.0.0.0/1"}, "10.0.0.0/8": {"10.1.0.0/16", "10.1.2.0/24", "10.200.0.0/16"},
	"10.1.0.0/16": {"10.1.2.0/24", "10.1.2.3/32"}, "192.0.2.0/24": {"192.0.2.10/32", "192.0.2.128/25"}, "::/0": {"2001:db8::/32", "fd00::/8"},
	"2001:db8::/32": {"2001:db8:1::/48", "2001:db8:1::1/128"}, "10.9.9.9/8": {"10.1.2.3/32"}, "172.16.0.0/12": {"172.18.0.0/24", "172.18.0.2/32"},
}

func (d draw) cidrSet() any {
	out := oracle.Object{}
	switch d.n(5) {
	case 0:
		out["cidrGroupRef"] = d.one("partners", "blue", "missing")
	case 1:
		out["cidrGroupSelector"] = oracle.Object{"matchLabels": oracle.Object{d.one("color", "cidrgroup:color", "k8s:color"): d.one("blue", "red")}}
	default:
		cidr := d.one(prefixes...)
		out["cidr"] = cidr
		if inside := longer[cidr]; len(inside) > 0 {
			d.maybe(out, 2, "except", func() any { return d.some(2, func() any { return d.one(inside...) }) })
		}
		return out
	}
	d.maybe(out, 3, "except", func() any { return d.some(2, func() any { return d.one(prefixes...) }) })
	return out
}

// peers sets the members that choose peers: one, mostly.
func (d draw) peers(out oracle.Object, ingress, deny bool) {
	side := map[bool]string{true: "from", false: "to"}[ingress]
	one := func(kind int) {
		switch kind {
		case 0, 1, 2, 3:
			d.maybe(out, 1, side+"Endpoints", func() any { return d.some(2, func() any { return d.selector() }) })
		case 4, 5:
			d.maybe(out, 1, side+"Entities", func() any {
				return d.some(2, func() any {
					return d.one("world", "host", "cluster", "all", "remote-node", "kube-apiserver", "world-ipv4", "world-ipv6", "health",
						"init", "ingress", "unmanaged", "none", "cluster-mesh")
				})
			})
		case 6:
			d.maybe(out, 1, side+"CIDR", func() any {
				return d.some(2, func() any { return d.one(append(prefixes, "10.1.2.3", "2001:db8:1::1", "::ffff:10.1.2.3")...) })
			})
		case 7, 8:
			d.maybe(out, 1, side+"CIDRSet", func() any { return d.some(2, d.cidrSet) })
		case 9:
			d.maybe(out, 1, side+"Nodes", func() any {
				return d.some(1, func() any {
					return oracle.Object{"matchLabels": oracle.Object{d.one("zone", "node:zone", "k8s:zone"): d.one("x", "y")}}
				})
			})
		case 10:
			if !ingress {
				d.maybe(out, 1, "toServices", func() any { return d.some(2, d.service) })
			}
		case 11:
			switch d.n(4) {
			case 0:
				d.maybe(out, 1, side+"Groups", func() any { return d.some(1, func() any { return oracle.Object{"aws": oracle.Object{}} }) })
			case 1:
				d.maybe(out, 1, side+"Requires", func() any { return d.some(1, func() any { return d.selector() }) })
			case 2:
				if !ingress && !deny {
					d.maybe(out, 1, "toFQDNs", func() any { return d.some(1, func() any { return oracle.Object{"matchName": "example.com"} }) })
				}
			}
		}
	}
	if d.odds(5) {
		return // no peer in particular
	}
	one(d.n(11))
	if d.odds(60) {
		one(d.n(11)) // often not valid
	}
}

func (d draw) service() any {
	out := oracle.Object{}
	switch d.n(7) {
	case 0:
		return out
	case 1, 2, 3:
		named := oracle.Object{"serviceName": d.one("web", "outer", "missing")}
		d.maybe(named, 2, "namespace", func() any { return d.one("shop", "blog") })
		out["k8sService"] = named
	default:
		chosen := oracle.Object{"selector": oracle.Object{}}
		if !d.odds(3) {
			chosen["selector"] = oracle.Object{"matchLabels": oracle.Object{d.one("kind", "k8s:kind"): d.one("front", "outer")}}
		}
		d.maybe(chosen, 2, "namespace", func() any { return d.one("shop", "blog") })
		out["k8sServiceSelector"] = chosen
	}
	return out
}

func (d draw) portRule(deny bool) any {
	out := oracle.Object{}
	d.maybe(out, 1, "ports", func() any {
		return d.some(3, func() any {
			port := oracle.Object{"port": d.one("80", "8080", "http", "HTTP", "dns", "0", "010", "53", "443", "1024", "65535", "none")}
			if d.odds(80) {
				port["port"] = d.one("", "65536", "-1", "0x10", "1_0", "a--b", "0080", "08", "0x00000000000050")
			}
			d.maybe(port, 3, "endPort", func() any { return []float64{90, 8080, 65535, 0, 100, 81}[d.n(5)] })
			d.maybe(port, 2, "protocol", func() any { return d.one("TCP", "UDP", "ANY", "tcp", "SCTP", "") })
			if d.odds(20) {
				port = oracle.Object{"protocol": d.one("GRE", "esp", "ICMP", "vrrp")}
			}
			return port
		})
	})
	if !deny && d.odds(15) {
		d.maybe(out, 1, "rules", func() any {
			return []any{oracle.Object{}, oracle.Object{"http": []any{}}, oracle.Object{"http": []any{oracle.Object{}}}, oracle.Object{"dns": []any{oracle.Object{"matchPattern": "*"}}}}[d.n(3)]
		})
	}
	if !deny && d.odds(40) {
		out["serverNames"] = []any{"example.com"}
	}
	return out
}

func (d draw) element(ingress, deny bool) any {
	out := oracle.Object{}
	if d.odds(12) {
		return out
	}
	d.peers(out, ingress, deny)
	if d.odds(6) {
		d.maybe(out, 1, "icmps", func() any {
			return d.some(1, func() any {
				rule := oracle.Object{}
				d.maybe(rule, 1, "fields", func() any {
					return d.some(2, func() any {
						field := oracle.Object{"type": []any{"EchoRequest", 8.0, "8", "EchoReply", 0.0, "DestinationUnreachable", 128.0}[d.n(6)]}
						d.maybe(field, 2, "family", func() any { return d.one("IPv4", "IPv6") })
						return field
					})
				})
				return rule
			})
		})
	}
	if len(out) < 2 && !d.odds(3) {
		d.maybe(out, 1, "toPorts", func() any { return d.some(2, func() any { return d.portRule(deny) }) })
	}
	if !deny && d.odds(40) {
		out["authentication"] = oracle.Object{"mode": d.one("disabled", "required")}
	}
	return out
}

func (d draw) rule(clusterwide bool) oracle.Object {
	out := oracle.Object{"endpointSelector": oracle.Object{}}
	if d.odds(2) {
		out["endpointSelector"] = d.selector()
	}
	if clusterwide && d.odds(3) {
		delete(out, "endpointSelector")
		out["nodeSelector"] = []any{oracle.Object{}, oracle.Object{"matchLabels": oracle.Object{d.one("zone", "k8s:zone"): d.one("x", "y")}}}[d.n(1)]
	}
	for i, list := range []string{"ingress", "egress", "ingressDeny", "egressDeny"} {
		d.maybe(out, 2+i/2, list, func() any { return d.some(3, func() any { return d.element(i%2 == 0, i > 1) }) })
	}
	if len(out) == 1 && !d.odds(12) { // without an element it is not valid
		out["ingress"] = []any{d.element(true, false)}
	}
	d.maybe(out, 5, "enableDefaultDeny", func() any {
		set := oracle.Object{}
		d.maybe(set, 2, "ingress", func() any { return d.odds(2) })
		d.maybe(set, 2, "egress", func() any { return d.odds(2) })
		return set
	})
	return out
}

func (d draw) kubernetesRule() oracle.Object {
	out := oracle.Object{"podSelector": d.plain("app", "tier", hash)}
	for i, list := range []string{"ingress", "egress"} {
		d.maybe(out, 2, list, func() any {
			return d.some(3, func() any {
				element := oracle.Object{}
				d.maybe(element, 2, []string{"from", "to"}[i], func() any { return d.some(2, d.kubernetesPeer) })
				d.maybe(element, 2, "ports", func() any { return d.some(2, d.kubernetesPort) })
				return element
			})
		})
	}
	d.maybe(out, 2, "policyTypes", func() any {
		return []any{[]any{"Ingress"}, []any{"Egress"}, []any{"Ingress", "Egress"}, []any{}}[d.n(3)]
	})
	return out
}

func (d draw) kubernetesPeer() any {
	out := oracle.Object{}
	if d.odds(3) {
		cidr := d.one(prefixes...)
		block := oracle.Object{"cidr": cidr}
		if inside := longer[cidr]; len(inside) > 0 {
			d.maybe(block, 2, "except", func() any { return d.some(2, func() any { return d.one(inside...) }) })
		}
		return oracle.Object{"ipBlock": block}
	}
	d.maybe(out, 2, "podSelector", func() any { return d.plain("app", "tier", hash) })
	d.maybe(out, 2, "namespaceSelector", func() any { return d.plain("team", "kubernetes.io/metadata.name") })
	if len(out) == 0 && !d.odds(20) {
		out["podSelector"] = oracle.Object{}
	}
	return out
}

func (d draw) kubernetesPort() any {
	out := oracle.Object{}
	d.maybe(out, 2, "protocol", func() any { return d.one("TCP", "UDP", "SCTP") })
	d.maybe(out, 1, "port", func() any { return []any{80.0, 8080.0, "http", "dns", 53.0, 1.0}[d.n(5)] })
	if first, ok := out["port"].(float64); ok {
		d.maybe(out, 3, "endPort", func() any { return first + float64([]int{0, 1, 10, 9000}[d.n(3)]) })
	}
	return out
}

func (d draw) policy(i int) oracle.Object {
	meta := oracle.Object{"name": fmt.Sprint("p", i), "namespace": d.one("shop", "shop", "blog")}
	kind := d.one("CiliumNetworkPolicy", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "NetworkPolicy", "ClusterNetworkPolicy", "ClusterNetworkPolicy")
	out := oracle.Object{"apiVersion": "cilium.io/v2", "kind": kind, "metadata": meta}
	d.mode(meta)
	switch kind {
	case "ClusterNetworkPolicy":
		delete(meta, "namespace")
		out["apiVersion"], out["spec"] = "policy.networking.k8s.io/v1alpha2", d.tiered()
		return out
	case "NetworkPolicy":
		out["apiVersion"], out["spec"] = "networking.k8s.io/v1", d.kubernetesRule()
		return out
	case "CiliumClusterwideNetworkPolicy":
		delete(meta, "namespace")
	}
	clusterwide := meta["namespace"] == nil
	if d.odds(6) {
		out["specs"] = d.list(1, 2, func() any { return d.rule(clusterwide) })
	}
	if out["specs"] == nil || d.odds(2) {
		out["spec"] = d.rule(clusterwide)
	}
	return out
}

// world is a small cluster with random policies.
func (d draw) world() *oracle.World {
	w := &oracle.World{
		Cluster: "here", Mode: "default", Audit: d.odds(10), HostPolicy: d.odds(4), CIDRNodes: d.odds(4), CIDRPods: d.odds(8), NodeLabels: d.odds(2), Extended: d.odds(3),
	}
	if d.odds(8) {
		w.Mode = d.one("always", "never")
	}
	for i := range 1 + d.n(4) {
		w.Policies = append(w.Policies, Reread(d.policy(i)))
	}
	add := func(list *[]oracle.Object, texts ...string) {
		for _, text := range texts {
			var o oracle.Object
			if err := json.Unmarshal([]byte(text), &o); err != nil {
				d.Fatal(err, text)
			}
			*list = append(*list, o)
		}
	}
	add(&w.Namespaces,
		`{"kind":"Namespace","metadata":{"name":"shop","labels":{"kubernetes.io/metadata.name":"shop","team":"blue"}}}`,
		`{"kind":"Namespace","metadata":{"name":"blog","labels":{"kubernetes.io/metadata.name":"blog","team":"red"}}}`)
	for _, namespace := range w.Namespaces {
		if d.odds(8) {
			namespace["metadata"].(oracle.Object)["annotations"] = oracle.Object{"policy.weftnet.io/mode": d.one("audit", "audit", "stage", "enforce", "Audit")}
		}
	}
	pod := func(namespace, name, address, labels, ports string) {
		add(&w.Pods, fmt.Sprintf(`{"kind":"Pod","metadata":{"namespace":%q,"name":%q,"labels":{%s}},"status":{"podIP":%q},`+
			`"spec":{"serviceAccountName":"default","containers":[{"name":"c","ports":[%s]}]}}`, namespace, name, labels, address, ports))
	}
	ports := d.ports() // of both: while no policy tells them apart they are one identity, and a port's name means what it means to either
	pod("shop", "web", "10.1.2.3", `"app":"web","tier":"front","pod-template-hash":"x"`, ports)
	pod("shop", "web-2", "10.1.2.4", `"app":"web","tier":"front","pod-template-hash":"y"`, ports)
	pod("shop", "db", "10.1.3.1", `"app":"db","tier":"back","k8s-app":"kube-dns","io.kubernetes.pod.namespace":"blog"`, d.ports())
	pod("blog", "api", "2001:db8:1::1", `"app":"api","k8s-app":"kube-dns"`, d.ports())
	pod("blog", "web", "10.2.0.1", `"app":"web","tier":""`, d.ports())
	pod("blog", "web-2", "10.2.0.2", `"app":"web","tier":""`, d.ports())
	node := func(name, address, zone string) {
		add(&w.Nodes, fmt.Sprintf(`{"kind":"Node","metadata":{"name":%q,"labels":{"zone":%q}},"status":{"addresses":[{"type":"InternalIP","address":%q}]}}`, name, zone, address))
	}
	node("a", "172.18.0.1", "x")
	node("b", "172.18.0.2", "x")
	node("c", "2001:db8::c", "y")
	service := func(namespace, name, kind, selector string) {
		add(&w.Services, fmt.Sprintf(`{"kind":"Service","metadata":{"namespace":%q,"name":%q,"labels":{"kind":%q}},"spec":{"clusterIP":"None","selector":{%s}}}`, namespace, name, kind, selector))
	}
	service("shop", "web", "front", `"app":"web"`)
	service("shop", "outer", "outer", ``)
	service("blog", "web", "front", `"app":"web","tier":""`)
	service("default", "kubernetes", "", ``)
	slice := func(namespace, service, family, addresses string) {
		add(&w.Slices, fmt.Sprintf(`{"kind":"EndpointSlice","metadata":{"namespace":%q,"name":"%[2]s-1","labels":{"kubernetes.io/service-name":%[2]q}},"addressType":%q,"endpoints":[{"addresses":[%s]}]}`,
			namespace, service, family, addresses))
	}
	slice("shop", "outer", "IPv4", d.one(`"192.0.2.10"`, `"192.0.2.10","10.1.3.1","172.18.0.2"`))
	slice("default", "kubernetes", "IPv4", d.one(`"172.18.0.1"`, `"172.18.0.2"`, `"192.0.2.10"`, `"192.0.2.10","10.1.3.1","172.18.0.2"`))
	group := func(name, color, prefixes string) {
		add(&w.Groups, fmt.Sprintf(`{"kind":"CiliumCIDRGroup","metadata":{"name":%q,"labels":{"color":%q}},"spec":{"externalCIDRs":[%s]}}`, name, color, prefixes))
	}
	group("partners", "red", `"192.0.2.0/24","2001:db8::/32"`)
	group("blue", "blue", d.one(`"10.0.0.0/8"`, `"10.1.0.0/16","172.16.0.0/12"`, ``))
	return w
}

// ports are the named ports of a pod: names stand for other numbers in other pods.
func (d draw) ports() string {
	return d.one(``,
		`{"name":"http","containerPort":80}`,
		`{"name":"http","containerPort":8080},{"name":"dns","containerPort":53,"protocol":"UDP"},{"name":"dns-tcp","containerPort":81}`,
		`{"name":"http","containerPort":85,"protocol":"UDP"},{"name":"http","containerPort":443},{"name":"dns-tcp","containerPort":1024},{"name":"dns","containerPort":1024,"protocol":"SCTP"}`)
}

// Reread gives an object as JSON has it: one kind of number.
func Reread(o oracle.Object) (out oracle.Object) {
	text, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err)
	}
	return out
}
