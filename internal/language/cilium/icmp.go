package cilium

import (
	"fmt"
	"strconv"

	v2 "weftnet.io/weftnet/api/cilium/v2"
	"weftnet.io/weftnet/internal/policy"
)

// icmpRule reads an element of icmps.
func (e *element) icmpRule(in v2.ICMPRule, field string) []policy.Port {
	if len(in.Fields) > maxPorts {
		e.Reject(field+".fields", "too many types, the max is %d", maxPorts)
		return nil
	}
	var out []policy.Port
	for i, f := range in.Fields {
		at := fmt.Sprintf("%s.fields[%d]", field, i)
		protocol, names := policy.ICMP, icmpTypes
		switch f.Family {
		case "", "IPv4":
		case "IPv6":
			protocol, names = policy.ICMPv6, icmpv6Types
		default:
			e.Reject(at+".family", "wrong family: %s", f.Family)
			continue
		}
		number, err := icmpType(f.Type, names)
		if err != nil {
			e.Reject(at+".type", "%v", err)
			continue
		}
		out = append(out, policy.ICMPType(protocol, number))
	}
	return out
}

func icmpType(in v2.ICMPType, names map[string]uint8) (uint8, error) {
	if in == "" {
		return 0, fmt.Errorf("ICMP type must be specified")
	}
	if n, ok := names[string(in)]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(string(in), 10, 8)
	if err != nil {
		return 0, fmt.Errorf("ICMP type %q is neither a number from 0 to 255 nor a name of this family's types", string(in))
	}
	return uint8(n), nil
}

// Names of message types (IANA, ICMP and ICMPv6 parameters), in the spelling of the policy language.
var (
	icmpTypes = map[string]uint8{
		"EchoReply": 0, "DestinationUnreachable": 3, "Redirect": 5, "Echo": 8, "EchoRequest": 8, "RouterAdvertisement": 9,
		"RouterSelection": 10, "TimeExceeded": 11, "ParameterProblem": 12, "Timestamp": 13, "TimestampReply": 14,
		"Photuris": 40, "ExtendedEchoRequest": 42, "ExtendedEcho Request": 42, "ExtendedEchoReply": 43, "ExtendedEcho Reply": 43,
	}
	icmpv6Types = map[string]uint8{
		"DestinationUnreachable": 1, "PacketTooBig": 2, "TimeExceeded": 3, "ParameterProblem": 4, "EchoRequest": 128,
		"EchoReply": 129, "MulticastListenerQuery": 130, "MulticastListenerReport": 131, "MulticastListenerDone": 132,
		"RouterSolicitation": 133, "RouterAdvertisement": 134, "NeighborSolicitation": 135, "NeighborAdvertisement": 136,
		"RedirectMessage": 137, "RouterRenumbering": 138, "ICMPNodeInformationQuery": 139, "ICMPNodeInformationResponse": 140,
		"InverseNeighborDiscoverySolicitation": 141, "InverseNeighborDiscoveryAdvertisement": 142,
		"HomeAgentAddressDiscoveryRequest": 144, "HomeAgentAddressDiscoveryReply": 145, "MobilePrefixSolicitation": 146,
		"MobilePrefixAdvertisement": 147, "DuplicateAddressRequestCodeSuffix": 157, "DuplicateAddressConfirmationCodeSuffix": 158,
		"ExtendedEchoRequest": 160, "ExtendedEchoReply": 161,
	}
)
