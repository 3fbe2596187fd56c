package demo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// endpoint and flow are the fields of Hubble's JSON flow that the demo reads.
type endpoint struct {
	Namespace string `json:"namespace"`
	PodName   string `json:"pod_name"`
}

type policyRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
}

func (p policyRef) String() string {
	kind := p.Kind
	if kind == "" {
		kind = "policy"
	}
	if p.Namespace == "" {
		return kind + " " + p.Name
	}
	return kind + " " + p.Namespace + "/" + p.Name
}

type flow struct {
	Verdict          string   `json:"verdict"`
	DropReasonDesc   string   `json:"drop_reason_desc"`
	TrafficDirection string   `json:"traffic_direction"`
	Source           endpoint `json:"source"`
	Destination      endpoint `json:"destination"`
	IP               struct {
		Source      string `json:"source"`
		Destination string `json:"destination"`
		IPVersion   string `json:"ipVersion"`
	} `json:"IP"`
	L4 map[string]struct {
		SourcePort      int `json:"source_port"`
		DestinationPort int `json:"destination_port"`
	} `json:"l4"`
	EgressDeniedBy  []policyRef `json:"egress_denied_by"`
	IngressDeniedBy []policyRef `json:"ingress_denied_by"`
}

// parseFlows reads the lines that `weft observe -o json` prints. Each is a flow, bare or wrapped as {"flow": …}.
func parseFlows(out []byte) ([]flow, error) {
	var flows []flow
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var wrapped struct{ Flow *flow }
		if err := json.Unmarshal(line, &wrapped); err != nil {
			return nil, fmt.Errorf("flow %.80q: %w", line, err)
		}
		if wrapped.Flow == nil {
			wrapped.Flow = new(flow)
			if err := json.Unmarshal(line, wrapped.Flow); err != nil {
				return nil, fmt.Errorf("flow %.80q: %w", line, err)
			}
		}
		flows = append(flows, *wrapped.Flow)
	}
	return flows, lines.Err()
}

// denies reports whether the flow is the denial of this connection.
func (f flow) denies(from, to Peer, port string) bool {
	if f.Verdict != "DROPPED" || f.DropReasonDesc != "POLICY_DENIED" {
		return false
	}
	if f.Source.PodName != from.Pod || f.Destination.PodName != to.Pod {
		return false
	}
	tcp, ok := f.L4["TCP"]
	return ok && strconv.Itoa(tcp.DestinationPort) == port
}

// deciders are the policies that the flow names.
func (f flow) deciders() []policyRef { return append(f.EgressDeniedBy, f.IngressDeniedBy...) }

// describe is one line for a reader.
func (f flow) describe(c Connection) string {
	var names []string
	for _, p := range f.deciders() {
		names = append(names, p.String())
	}
	tcp := f.L4["TCP"]
	return fmt.Sprintf("%-26s %s:%d -> %s:%d  %s (%s)  by %s", c, bracket(f.IP.Source), tcp.SourcePort, bracket(f.IP.Destination),
		tcp.DestinationPort, f.DropReasonDesc, strings.ToLower(f.TrafficDirection), strings.Join(names, ", "))
}

func bracket(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}
