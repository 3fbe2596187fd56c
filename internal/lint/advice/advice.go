// Package advice knows what people meant who wrote what the reader of policies rejects or notes, and the line that says it.
//
// # The world it models
//
// The reader has a sentence for each thing that it rejects or cannot enforce. Many of these sentences have one usual cause. A
// sentence is known by its words, a regular expression; what its groups find stands in the advice.
//
// # Invariants
//
//   - Of several expressions that match, the first one counts. No advice is better than a wrong one.
//
// # Example
//
//	ports 80 to 70 are not a range    fix: port and endPort from 1 to 65535, the lower one first
package advice

import (
	"regexp"
	"strings"
	"sync"

	"weftnet.io/weftnet/internal/policy/gap"
)

// advice is what to do about a sentence. $1, $2, … are what the groups found, {last} is the last part of the field.
var advice = []struct{ message, meant, fix string }{
	{`^an empty list restricts nothing`, `deny all {last}, as {last}: [] does in a NetworkPolicy`, `{last}: [{}]`},
	{`^rule cannot have NodeSelector`, `a policy of the whole cluster`, `kind: CiliumClusterwideNetworkPolicy, without a namespace`},
	{`^rule cannot have both`, ``, `write two rules: specs: [{endpointSelector: …}, {nodeSelector: …}]`},
	{`^combining (\w+) and (\w+) is not supported`, `peers of either kind`, `write two elements, one with each, with the same toPorts`},
	{`^the ICMPs block may only be present without ToPorts`, `these ports, and these ICMP types`, `write two elements, one with each, with the same peers`},
	{`^port must be specified`, `all ports`, `port: "0"`},
	{`^unable to parse port: .*parsing "(\d+)-(\d+)"`, `ports $1 to $2`, `port: "$1", endPort: $2`},
	{`^unable to parse port: .*parsing "(\d+),\s*(\d+)`, `ports $1 and $2`, `ports: [{port: "$1"}, {port: "$2"}], each with its protocol`},
	{`^unable to parse port: .*value out of range`, ``, `port: a number from 1 to 65535, or "0" for all`},
	{`^(\d+) is below port (\d+)`, `ports $1 to $2`, `port: "$1", endPort: $2`},
	{`^ports (\d+) to (\d+) are not a range`, ``, `port and endPort from 1 to 65535, the lower one first`},
	{`^L7 rules can only apply to TCP`, ``, `protocol: TCP`},
	{`is ignored: a \w+ is for its own namespace`, `a policy in that namespace`, `set metadata.namespace to it, or use a CiliumClusterwideNetworkPolicy`},
	{`^unable to parse CIDR.*ParsePrefix\("([^"/:]+)"\): no '/'`, `the address $1 alone`, `$1/32`},
	{`^unable to parse CIDR.*ParsePrefix\("([^"/]+)"\): no '/'`, `the address $1 alone`, `$1/128`},
	{`does not contain exclude CIDR prefix`, `part of the prefix`, `name a prefix inside cidr, or leave it out: only what cidr contains is meant at all`},
	{`^protocol ICMPV6 `, `ping and its kin`, `icmps: [{fields: [{type: EchoRequest, family: IPv6}]}], in an element without toPorts`},
	{`^protocol ICMP `, `ping and its kin`, `icmps: [{fields: [{type: EchoRequest, family: IPv4}]}], in an element without toPorts`},
	{`^must specify a peer`, ``, `podSelector: {} for every pod of the namespace; for every peer, no list at all`},
	{`while setting (\S+) is not true`, ``, `in ConfigMap cilium-config: $1: "true"`},
	{`^ICMP type must be specified`, `ping`, `type: EchoRequest`},
}

var messages = sync.OnceValue(func() (out []*regexp.Regexp) {
	for _, a := range advice {
		out = append(out, regexp.MustCompile(a.message))
	}
	return out
})

// For is the advice about a gap: what was probably meant, and how to write it. Empty: there is none.
func For(g gap.Gap) (meant, fix string) {
	last := g.Field[strings.LastIndexByte(g.Field, '.')+1:]
	for i, a := range advice {
		expression := messages()[i]
		at := expression.FindStringSubmatchIndex(g.Message)
		if at == nil {
			continue
		}
		expand := func(template string) string {
			return string(expression.ExpandString(nil, strings.ReplaceAll(template, "{last}", last), g.Message, at))
		}
		return expand(a.meant), expand(a.fix)
	}
	return "", ""
}
