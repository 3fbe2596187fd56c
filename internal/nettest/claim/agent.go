package claim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"

	"k8s.io/client-go/tools/clientcmd"

	"weftnet.io/weftnet/internal/agent/network"
	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table"
	"weftnet.io/weftnet/internal/table/grant"
)

// environment tells a process of this program that it is an agent.
const environment = "WEFT_NETTEST_CLAIM"

// role is what the variable holds.
type role struct{ Node, Kubeconfig string }

// asks is what an agent is told.
type asks struct {
	Order  []nic    `json:",omitempty"`
	Return []string `json:",omitempty"` // containers
	All    bool     `json:",omitempty"` // these are all that live
}

// nic is one that needs an address, or has it.
type nic struct {
	Container string
	Has       netip.Prefix `json:",omitzero"`
}

// answer is what an agent says of one.
type answer struct {
	Container string
	Address   netip.Prefix `json:",omitzero"`
	Why       string       `json:",omitempty"` // there is none
	Gone      bool         `json:",omitempty"` // it has been returned
}

// Main is an agent if this process was started for that, and then never returns.
func Main() {
	text, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	var r role
	err := json.Unmarshal([]byte(text), &r)
	if err == nil {
		err = r.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent of node", r.Node+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// config is what the NICs of the range are made by.
const config = `{"cniVersion": "1.0.0", "name": "claims", "type": "macvlan", "master": "ens192",
"ipam": {"type": "weft", "network_name": "` + space + `", "range": "10.0.0.0/12"}}`

// space is the range's own, whatever else is kept on the API server.
const space = "nettest-claims"

func order(n nic) grant.Order {
	o := grant.Order{
		ContainerID: n.Container, First: "eth0", Interface: device, Namespace: "default", Pod: n.Container, Definition: "default/claims",
		Terms: grant.Terms{Type: "weft", Config: config},
	}
	if n.Has.IsValid() {
		o.Has = []netip.Prefix{n.Has}
	}
	return o
}

const device = "net1"

// run grants what it is told to until its standard input ends.
func (r role) run() error {
	api, err := clientcmd.BuildConfigFromFlags("", r.Kubeconfig)
	if err != nil {
		return err
	}
	_, db := table.New()
	book, err := network.NewCluster(api, r.Node, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	loop, err := network.Granted(db, book)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	go func() { stop(hear(db)) }()
	go func() { stop(loop.Run(ctx, db)) }()
	go func() { stop(network.Sweep(ctx, db, book)) }()
	go func() { stop(speak(ctx, db)) }()
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// hear writes orders.
func hear(db *state.DB) error {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var a asks
		if err := in.Decode(&a); err != nil {
			return err
		}
		err := db.Write(func(tx *state.Tx) error {
			for _, n := range a.Order {
				grant.Orders.Put(tx, order(n))
			}
			for _, c := range a.Return {
				grant.Orders.Delete(tx, table.AttachmentKey(c, device))
			}
			if a.All {
				grant.Orders.MarkSynced(tx)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// speak tells of grants.
func speak(ctx context.Context, db *state.DB) error {
	out := json.NewEncoder(os.Stdout)
	feed := grant.Grants.Feed(db)
	defer feed.Close()
	for {
		changes, _, more := feed.Next()
		var said []answer
		for _, c := range changes {
			a := answer{Container: c.Row.ContainerID, Why: c.Row.Why, Gone: c.Deleted}
			if !c.Deleted && a.Why == "" {
				a.Address = c.Row.Is.Addresses[0].Prefix
			}
			said = append(said, a)
		}
		if len(said) > 0 {
			if err := out.Encode(said); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
