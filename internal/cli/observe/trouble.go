package observe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	observerpb "github.com/cilium/cilium/api/v1/observer"
	relaypb "github.com/cilium/cilium/api/v1/relay"
)

// trouble is what a relay says of nodes. Where none of them has given anything, an answer without flows is none.
type trouble struct {
	flows bool
	nodes map[string]string // why it gives nothing; empty: it may
}

// other is what a relay calls nodes that a client may not know: some of them may be well.
const other = "another node"

func (t *trouble) note(r *observerpb.GetFlowsResponse) {
	t.flows = t.flows || r.GetFlow() != nil
	s := r.GetNodeStatus()
	why := ""
	switch s.GetStateChange() {
	case relaypb.NodeState_NODE_ERROR:
		why = plain(s.GetMessage())
	case relaypb.NodeState_NODE_UNAVAILABLE:
		why = "it cannot be reached"
	}
	for _, name := range s.GetNodeNames() {
		if t.nodes == nil {
			t.nodes = map[string]string{}
		}
		if name != other {
			t.nodes[name] = why
		} else {
			t.nodes[name] = ""
		}
	}
}

// err is that of an answer that has ended: no node was there to give one.
func (t *trouble) err() error {
	if t.flows || len(t.nodes) == 0 {
		return nil
	}
	by := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(t.nodes)) {
		why := t.nodes[name]
		if why == "" {
			return nil
		}
		by[why] = append(by[why], name)
	}
	var text []string
	for _, why := range slices.Sorted(maps.Keys(by)) {
		names := by[why]
		list := strings.Join(names[:min(len(names), 5)], ", ")
		if more := len(names) - 5; more > 0 {
			list += fmt.Sprintf(" and %d more", more)
		}
		text = append(text, fmt.Sprintf("no node has answered, %s: %s", list, why))
	}
	return errors.New(strings.Join(text, "\n"))
}

// plain is what went wrong, without what gRPC says around it.
func plain(message string) string {
	if said, found := strings.CutPrefix(message, "connection error: desc = "); found {
		if text, err := strconv.Unquote(said); err == nil {
			message = text
		}
	}
	for _, around := range []string{"transport: ", "failed to write client preface: ", "error reading server preface: ", "Error while dialing: "} {
		message = strings.TrimPrefix(message, around)
	}
	return message
}
