package observe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"

	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/flow/query"
)

// readFile gives the flows of a file that a request asks for, in the order in which they are there.
func readFile(ctx context.Context, env Environment, name string, r *observerpb.GetFlowsRequest, each func(*observerpb.GetFlowsResponse) error) error {
	q, err := query.New(r)
	if err != nil {
		return mistake.Of(err)
	}
	in := env.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("read --input-file: %w", err)
		}
		defer f.Close()
		in = f
	}
	lines, err := unpacked(in)
	if err != nil {
		return fmt.Errorf("read --input-file %s: %w", name, err)
	}
	var kept []*observerpb.GetFlowsResponse // the last flows, and news of losses and nodes between them
	var flows, sent uint64
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read --input-file %s: %w", name, err)
		}
		ended := err != nil
		one, err := parseLine(line)
		if err != nil {
			fmt.Fprintf(env.Err, "%s line %d is passed over: %v\n", name, number, err)
		}
		if one != nil && wanted(q, one) {
			switch {
			case q.Last() && q.Number < maxLast:
				kept, flows = append(kept, one), flows+counts(one)
				for ; flows > q.Number; kept = kept[1:] {
					flows -= counts(kept[0])
				}
			default:
				if err := each(one); err != nil {
					return err
				}
				sent += counts(one)
			}
		}
		if ended || q.First && sent == q.Number || ctx.Err() != nil {
			break
		}
	}
	for _, one := range kept {
		if err := each(one); err != nil {
			return err
		}
	}
	return nil
}

// counts is 1 of a flow, and 0 of news.
func counts(r *observerpb.GetFlowsResponse) uint64 {
	if r.GetFlow() == nil {
		return 0
	}
	return 1
}

// maxLast is how many flows are kept to find the last ones; more means all.
const maxLast = 1 << 20

// unpacked reads lines, of a packed file those that were packed.
func unpacked(in io.Reader) (*bufio.Reader, error) {
	lines := bufio.NewReader(in)
	if head, _ := lines.Peek(2); !bytes.Equal(head, []byte{0x1f, 0x8b}) { // RFC 1952
		return lines, nil
	}
	z, err := gzip.NewReader(lines)
	if err != nil {
		return nil, err
	}
	return bufio.NewReader(z), nil
}

// parseLine reads an answer of GetFlows; nil if the line is empty or says something else.
func parseLine(line []byte) (*observerpb.GetFlowsResponse, error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, nil
	}
	r := &observerpb.GetFlowsResponse{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(line, r); err != nil {
		return nil, err
	}
	if r.GetResponseTypes() == nil { // an exporter's line may be an agent event
		return nil, nil
	}
	return r, nil
}

// wanted tells whether a line is asked for, and takes away the fields that are not.
func wanted(q query.Query, r *observerpb.GetFlowsResponse) bool {
	at := r.GetTime().AsTime()
	if r.GetFlow().GetTime() != nil {
		at = r.GetFlow().GetTime().AsTime()
	}
	if !q.Since.IsZero() && at.Before(q.Since) || !q.Until.IsZero() && at.After(q.Until) {
		return false
	}
	if r.GetFlow() == nil {
		return r.GetLostEvents() != nil || r.GetNodeStatus() != nil
	}
	if !q.Want(r.GetFlow()) {
		return false
	}
	r.ResponseTypes = &observerpb.GetFlowsResponse_Flow{Flow: q.Mask.Apply(r.GetFlow())}
	return true
}

// rawFilters are the filters of a request as Hubble prints and takes them.
type rawFilters struct {
	Allowlist []string `json:"allowlist,omitempty"`
	Denylist  []string `json:"denylist,omitempty"`
}

func printFilters(out io.Writer, r *observerpb.GetFlowsRequest) error {
	var raw rawFilters
	for _, side := range []struct {
		to   *[]string
		list []*flowpb.FlowFilter
	}{{&raw.Allowlist, r.GetWhitelist()}, {&raw.Denylist, r.GetBlacklist()}} {
		for _, f := range side.list {
			text, err := f.MarshalJSON()
			if err != nil {
				return fmt.Errorf("print filters: %w", err)
			}
			*side.to = append(*side.to, string(text))
		}
	}
	text, err := yaml.Marshal(raw)
	if err != nil {
		return fmt.Errorf("print filters: %w", err)
	}
	_, err = out.Write(text)
	return err
}
