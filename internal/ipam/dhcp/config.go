package dhcp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"weftnet.io/weftnet/internal/ipam/address"
	"weftnet.io/weftnet/internal/policy/gap"
)

// Config is what the definition of a network says of its client.
type Config struct {
	Provide []Option // said to servers
	Request []uint8  // codes of options that servers are asked for, in order
}

// Option is one that the client says.
type Option struct {
	Code  uint8
	Value string
}

// names are those of options that a definition may name instead of their numbers, as the plugin dhcp has them.
var names = map[string]dhcpv4.OptionCode{
	"dhcp-client-identifier":  dhcpv4.OptionClientIdentifier,
	"subnet-mask":             dhcpv4.OptionSubnetMask,
	"routers":                 dhcpv4.OptionRouter,
	"host-name":               dhcpv4.OptionHostName,
	"user-class":              dhcpv4.OptionUserClassInformation,
	"vendor-class-identifier": dhcpv4.OptionClassIdentifier,
}

// own are the options by which the client and a server understand each other.
var own = []uint8{
	dhcpv4.OptionPad.Code(), dhcpv4.OptionEnd.Code(), dhcpv4.OptionRequestedIPAddress.Code(), dhcpv4.OptionOptionOverload.Code(),
	dhcpv4.OptionDHCPMessageType.Code(), dhcpv4.OptionServerIdentifier.Code(), dhcpv4.OptionParameterRequestList.Code(), dhcpv4.OptionMaximumDHCPMessageSize.Code(),
}

// asked are what servers are asked for unless the definition says skipDefault; the times of the lease always.
var (
	asked = []uint8{
		dhcpv4.OptionSubnetMask.Code(), dhcpv4.OptionRouter.Code(), dhcpv4.OptionDomainNameServer.Code(), dhcpv4.OptionDomainName.Code(), dhcpv4.OptionDNSDomainSearchList.Code(),
	}
	times = []uint8{dhcpv4.OptionIPAddressLeaseTime.Code(), dhcpv4.OptionRenewTimeValue.Code(), dhcpv4.OptionRebindingTimeValue.Code()}
)

// limits of what a message has room for.
const (
	maxValue   = 255 // bytes of an option
	maxOptions = 32
)

// Parse reads the part ipam of a configuration of type dhcp. Arguments are those of the CNI call that an option may take its value from.
func Parse(ipam []byte, arguments map[string]string) (Config, []gap.Gap) {
	var r address.Reader
	var whole struct {
		Provide []struct {
			Option  option `json:"option"`
			Value   string `json:"value"`
			FromArg string `json:"fromArg"`
		} `json:"provide"`
		Request []struct {
			SkipDefault bool   `json:"skipDefault"`
			Option      option `json:"option"`
		} `json:"request"`
	}
	var c Config
	if err := json.Unmarshal(ipam, &whole); err != nil {
		r.Reject("ipam", "it cannot be read: %v", err)
		return c, r.Gaps
	}
	if len(whole.Provide) > maxOptions || len(whole.Request) > maxOptions {
		r.Reject("ipam", "it has more than %d options", maxOptions)
		return c, r.Gaps
	}
	for i, p := range whole.Provide {
		field := fmt.Sprintf("ipam.provide[%d]", i)
		code, ok := p.Option.code(&r, field)
		value := p.Value
		if from, there := arguments[p.FromArg]; there {
			value = from
		} else if p.FromArg != "" {
			r.Ignore(field+".fromArg", "there is no argument %q: those that there are name the pod, such as K8S_POD_NAME", p.FromArg)
		}
		switch {
		case !ok || value == "":
		case slices.Contains(own, code):
			r.Reject(field+".option", "option %d is the client's own business", code)
		case len(value) > maxValue:
			r.Reject(field+".value", "it has %d bytes, and an option has room for %d", len(value), maxValue)
		default:
			c.Provide = append(c.Provide, Option{code, value})
		}
	}
	c.Request = append(c.Request, asked...)
	var more []uint8
	for i, q := range whole.Request {
		if q.SkipDefault {
			c.Request = nil
		}
		if code, ok := q.Option.code(&r, fmt.Sprintf("ipam.request[%d]", i)); ok {
			more = append(more, code)
		}
	}
	for _, code := range slices.Concat(more, times) {
		if !slices.Contains(c.Request, code) {
			c.Request = append(c.Request, code)
		}
	}
	return c, r.Gaps
}

// option is a name or a number, which may be written as either.
type option string

func (o *option) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) != nil {
		s = string(text)
	}
	*o = option(s)
	return nil
}

func (o option) code(r *address.Reader, field string) (uint8, bool) {
	if o == "" {
		return 0, false
	}
	if named, ok := names[string(o)]; ok {
		return named.Code(), true
	}
	n, err := strconv.ParseUint(string(o), 10, 8)
	if err != nil || n == 0 || n == 255 {
		r.Reject(field+".option", "%q is neither the number of an option, from 1 to 254, nor host-name, routers, subnet-mask, user-class, vendor-class-identifier or dhcp-client-identifier", string(o))
		return 0, false
	}
	return uint8(n), true
}
