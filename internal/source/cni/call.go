package cni

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/utils"
	"github.com/containernetworking/cni/pkg/version"

	agent "weftnet.io/weftnet/api/agent/v1"
	"weftnet.io/weftnet/internal/attach"
	"weftnet.io/weftnet/internal/source/cni/lease"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/machine"
)

// config is the network configuration, what this plugin reads of it. Unknown keys are left alone, as CNI wants.
type config struct {
	types.PluginConf
	RuntimeConfig struct {
		IPs []string `json:"ips"`
		MAC string   `json:"mac"`
	} `json:"runtimeConfig"`
	MTU      int             `json:"mtu"`
	RawValid json.RawMessage `json:"cni.dev/valid-attachments"` // in place of PluginConf's, to tell null from missing
}

// arguments is CNI_ARGS; kubelet's runtimes set the names of the pod, people and tests the rest. A key that is not here is
// an error unless IgnoreUnknown is set, as CNI wants.
type arguments struct {
	types.CommonArgs
	K8S_POD_NAMESPACE          types.UnmarshallableString
	K8S_POD_NAME               types.UnmarshallableString
	K8S_POD_UID                types.UnmarshallableString
	K8S_POD_INFRA_CONTAINER_ID types.UnmarshallableString
	IP                         types.UnmarshallableString
	MAC                        types.UnmarshallableString
}

// call is a request that has been understood.
type call struct {
	config
	containerID, ifname, netns string
	namespace, pod, uid        string
	addresses                  []netip.Addr // asked for by name, at most one per family
	mac                        string       // asked for; empty: any
	prev                       *types100.Result
	further                    table.Further // it is none of a runtime: what it is then
	network                    uint32        // of an overlay network; 0: it is in the pod network
	overlay                    attach.Overlay
	caller                     string // name of the process that called the plugin; empty: not known
}

func (c *call) key() state.Key { return table.AttachmentKey(c.containerID, c.ifname) }

// owner is who holds the addresses of an attachment.
func (c *call) owner() string { return lease.Owner(c.containerID, c.ifname) }

func (c *call) String() string {
	if c.pod == "" {
		return "container " + c.containerID + " " + c.ifname
	}
	return "pod " + c.namespace + "/" + c.pod + " " + c.ifname
}

// parse understands a request that speaks of a container. Errors are CNI errors that name the field.
func parse(r agent.Request) (*call, error) {
	c, err := parseConfig(r.Config)
	if err != nil {
		return nil, err
	}
	if err := validName(r); err != nil {
		return nil, err
	}
	if strings.ContainsRune(r.Netns, 0) {
		return nil, types.NewError(types.ErrInvalidNetNS, "CNI_NETNS: a path holds no zero byte", "")
	}
	c.containerID, c.ifname, c.netns, c.caller = r.ContainerID, r.Interface, r.Netns, r.Caller
	var args arguments
	if err := types.LoadArgs(r.Args, &args); err != nil {
		return nil, types.NewError(types.ErrInvalidEnvironmentVariables, fmt.Sprintf("CNI_ARGS: %v", err), "it holds KEY=value pairs with a semicolon between them")
	}
	c.namespace, c.pod, c.uid = string(args.K8S_POD_NAMESPACE), string(args.K8S_POD_NAME), string(args.K8S_POD_UID)
	if (c.namespace == "") != (c.pod == "") {
		return nil, types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_ARGS: K8S_POD_NAMESPACE and K8S_POD_NAME come together or not at all", "")
	}
	if err := c.ask("CNI_ARGS: IP", split(string(args.IP))); err != nil {
		return nil, err
	}
	if err := c.ask("runtimeConfig.ips", c.RuntimeConfig.IPs); err != nil {
		return nil, err
	}
	return c, c.askMAC(string(args.MAC))
}

// parseDelete understands a DEL. It needs no more than the name of the attachment: whatever else is wrong with the
// request, now or since the ADD, must not keep it from being taken away.
func parseDelete(r agent.Request) (*call, error) {
	return &call{containerID: r.ContainerID, ifname: r.Interface}, validName(r)
}

func validName(r agent.Request) error {
	if err := utils.ValidateContainerID(r.ContainerID); err != nil {
		return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_CONTAINERID: "+err.Error(), "")
	}
	if err := utils.ValidateInterfaceName(r.Interface); err != nil {
		return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_IFNAME: "+err.Error(), "")
	}
	return nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func parseConfig(data []byte) (*call, error) {
	c := &call{}
	if err := json.Unmarshal(data, &c.config); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, fmt.Sprintf("network configuration: %v", err), "")
	}
	switch {
	case c.Name == "":
		return nil, invalid("name: is missing", "every network configuration has a name")
	case c.Type != "weft-cni" && c.Type != "cilium-cni":
		return nil, invalid(fmt.Sprintf("type: %q is not weft-cni (or cilium-cni)", c.Type), "")
	case c.IPAM.Type != "" && c.IPAM.Type != "cilium":
		return nil, invalid(fmt.Sprintf("ipam.type: %q is not known here", c.IPAM.Type), "addresses come from the pod CIDRs of the node: leave ipam out")
	case c.MTU != 0 && (c.MTU < 1280 || c.MTU > 65535):
		return nil, invalid(fmt.Sprintf("mtu: %d is not 1280 to 65535", c.MTU), "below 1280 there is no IPv6 (RFC 8200); leave it out to have it from the node's device")
	}
	if c.CNIVersion == "" {
		c.CNIVersion = "0.3.1"
	}
	if !supported(c.CNIVersion) {
		return nil, types.NewError(types.ErrIncompatibleCNIVersion, fmt.Sprintf("cniVersion: %q is not one of %s", c.CNIVersion, strings.Join(versions, ", ")), "")
	}
	if c.RawPrevResult == nil {
		return c, nil
	}
	if err := version.ParsePrevResult(&c.PluginConf); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, fmt.Sprintf("prevResult: %v", err), "")
	}
	prev, err := types100.NewResultFromResult(c.PrevResult)
	if err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, fmt.Sprintf("prevResult: %v", err), "")
	}
	c.prev = prev
	return c, nil
}

var versions = []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}

func supported(v string) bool {
	for _, s := range versions {
		if s == v {
			return true
		}
	}
	return false
}

// ask takes up a wish for certain addresses, each with or without a prefix length.
func (c *call) ask(field string, list []string) error {
	for _, text := range list {
		a, err := netip.ParseAddr(text)
		if err != nil {
			p, prefixErr := netip.ParsePrefix(text)
			if prefixErr != nil {
				return invalid(fmt.Sprintf("%s: %q is no address", field, text), "")
			}
			a = p.Addr()
		}
		a = a.Unmap()
		if a.Zone() != "" {
			return invalid(fmt.Sprintf("%s: %q has a zone", field, text), "")
		}
		for _, b := range c.addresses {
			if b != a && b.Is4() == a.Is4() {
				return invalid(fmt.Sprintf("%s: %s and %s are of one family", field, b, a), "an interface has one address per family")
			}
			if b == a {
				a = netip.Addr{}
				break
			}
		}
		if a.IsValid() {
			c.addresses = append(c.addresses, a)
		}
	}
	return nil
}

// named is what a NIC's MAC address is made of: the container, or the virtual machine that KubeVirt names the pod after, whose guest is to have
// the same at each start. No device has two such NICs on its segment: each is alone with the host side of its pair.
func (c *call) named() string {
	if name, launched := strings.CutPrefix(c.pod, machine.Launcher); launched {
		if end := strings.LastIndexByte(name, '-'); end > 0 {
			return "vm/" + c.namespace + "/" + name[:end]
		}
	}
	return c.containerID
}

func (c *call) askMAC(fromArgs string) error {
	for field, text := range map[string]string{"CNI_ARGS: MAC": fromArgs, "runtimeConfig.mac": c.RuntimeConfig.MAC} {
		if text == "" {
			continue
		}
		m, err := net.ParseMAC(text)
		if err != nil || len(m) != 6 || m[0]&1 != 0 {
			return invalid(fmt.Sprintf("%s: %q is no unicast MAC address", field, text), "")
		}
		if c.mac != "" && c.mac != m.String() {
			return invalid("runtimeConfig.mac and MAC of CNI_ARGS ask for different addresses", "")
		}
		c.mac = m.String()
	}
	return nil
}

// checkNetns tells whether the network namespace can be entered. root is where the host's files are seen.
func (c *call) checkNetns(root string) error {
	if c.netns == "" {
		return types.NewError(types.ErrInvalidNetNS, "CNI_NETNS: is missing", "")
	}
	if _, err := os.Stat(root + c.netns); err != nil {
		return types.NewError(types.ErrInvalidNetNS, fmt.Sprintf("CNI_NETNS: %v", err), "the container is gone, or the agent's pod does not see the host's folder of network namespaces (mount it with HostToContainer propagation)")
	}
	return nil
}

func invalid(message, details string) error {
	return types.NewError(types.ErrInvalidNetworkConfig, message, details)
}

func later(message, details string) *types.Error {
	return types.NewError(types.ErrTryAgainLater, message, details)
}
