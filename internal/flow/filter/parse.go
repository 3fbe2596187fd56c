package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	flowpb "github.com/cilium/cilium/api/v1/flow"
)

// Parse reads filters as JSON, any number of them one after the other: {"source_pod":["shop/"]} {"verdict":["DROPPED"]}.
func Parse(text string) ([]*flowpb.FlowFilter, error) {
	var list []*flowpb.FlowFilter
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		f := &flowpb.FlowFilter{}
		if err := d.Decode(f); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("filter %d of %q: %w", len(list)+1, text, err)
		}
		list = append(list, f)
	}
}
