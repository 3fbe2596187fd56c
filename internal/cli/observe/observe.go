package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	flowpb "github.com/cilium/cilium/api/v1/flow"
	observerpb "github.com/cilium/cilium/api/v1/observer"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weftnet.io/weftnet/internal/cli/dial"
	"weftnet.io/weftnet/internal/cli/mistake"
	"weftnet.io/weftnet/internal/cli/observe/selection"
	"weftnet.io/weftnet/internal/flow"
)

const hubbleSocket = "unix:///var/run/cilium/hubble.sock"

// Environment is what the commands live in.
type Environment struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool // Out is a terminal that shows colours
	Now      func() time.Time
	Getenv   func(string) string
	Program  string // how it is called: weft or hubble
}

// server is who is asked where no flag says.
func (env Environment) server() string {
	if env.Getenv == nil {
		return hubbleSocket
	}
	return cmp.Or(env.Getenv("HUBBLE_SERVER"), hubbleSocket)
}

// options are the flags that are no filters.
type options struct {
	server dial.Flags
	span
	format
	file           string
	mask           []string
	usualMask      bool
	raw            bool
	silent         bool
	debug          bool
	allowed, other []string // raw filters
}

// Command is weft observe with all that is below it.
func Command(env Environment) *cobra.Command {
	c := flowsCommand(env, "observe")
	c.AddCommand(flowsCommand(env, "flows"), agentCommand(env), debugCommand(env))
	return c
}

func flowsCommand(env Environment, name string) *cobra.Command {
	var o options
	filters := &selection.Flags{}
	c := &cobra.Command{
		Use:     name,
		Short:   "Show flows: what was allowed, denied, dropped and forwarded, and by which policy",
		Long:    flowsManual,
		Example: strings.ReplaceAll(flowsExamples, "weft observe", cmp.Or(env.Program, "weft")+" observe"),
		Args:    noArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return o.observe(c.Context(), env, filters) },
	}
	f := c.Flags()
	f.SortFlags = false
	o.server.Register(f, env.server())
	o.server.Notes = env.Err
	o.span.register(f)
	filters.Register(c)
	o.format.register(c, true)
	f.StringVar(&o.file, "input-file", "", "show flows of a file instead of a server's, - for standard input; what -o json or an exporter wrote, packed by gzip or not")
	f.StringSliceVar(&o.mask, "field-mask", nil, "fields that are asked for, with -o json, e.g. time,source.pod_name,verdict")
	f.BoolVar(&o.usualMask, "use-default-field-masks", true, "ask for no more fields than are printed")
	f.StringArrayVar(&o.allowed, "allowlist", nil, "filter as JSON, as --print-raw-filters prints it; of several one must match")
	f.StringArrayVar(&o.other, "denylist", nil, "the same of what is not shown")
	f.BoolVar(&o.raw, "print-raw-filters", false, "print the filters as JSON, and ask no server")
	o.silence(f)
	return c
}

func (o *options) silence(f *pflag.FlagSet) {
	f.BoolVarP(&o.silent, "silent-errors", "s", false, "say nothing of nodes that do not answer")
	f.BoolVarP(&o.debug, "debug", "D", false, "also tell of nodes that are well")
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return mistake.New("unknown command %q", args[0])
	}
	return nil
}

// request is what all flags of flows say.
func (o *options) request(env Environment, filters *selection.Flags) (*observerpb.GetFlowsRequest, error) {
	r, err := o.flows(env.Now(), o.file != "")
	if err != nil {
		return nil, err
	}
	if err := filters.Add(o.allowed, o.other); err != nil {
		return nil, err
	}
	if r.Whitelist, r.Blacklist, err = filters.Filters(); err != nil {
		return nil, err
	}
	r.FieldMask, err = o.fields()
	return r, err
}

func (o *options) observe(ctx context.Context, env Environment, filters *selection.Flags) error {
	r, err := o.request(env, filters)
	var printing flow.PrinterOptions
	if err == nil {
		printing, err = o.printing(env, o.follow)
	}
	if err != nil {
		return mistake.Of(err)
	}
	if o.raw {
		return printFilters(env.Out, r)
	}
	if o.silent {
		printing.Errors = io.Discard
	}
	printing.Verbose = o.debug
	p, noted := flow.NewPrinter(env.Out, printing), selection.NewMachines(cmp.Or[io.Writer](printing.Errors, io.Discard), r.GetWhitelist())
	each := func(r *observerpb.GetFlowsResponse) error {
		noted.Note(r)
		if err := p.Print(r); err != nil {
			return fmt.Errorf("print flow: %w", err)
		}
		return nil
	}
	if o.file != "" {
		err = readFile(ctx, env, o.file, r, each)
	} else {
		err = ask(ctx, o.server, r, each)
	}
	return errors.Join(p.Close(), err)
}

// ask gives what a server answers, until the end, or an interrupt. That no node has given anything, since none could, is an error.
func ask(ctx context.Context, server dial.Flags, r *observerpb.GetFlowsRequest, each func(*observerpb.GetFlowsResponse) error) error {
	var t trouble
	err := stream(ctx, server, func(ctx context.Context, c observerpb.ObserverClient) (grpc.ServerStreamingClient[observerpb.GetFlowsResponse], error) {
		return c.GetFlows(ctx, r)
	}, func(r *observerpb.GetFlowsResponse) error {
		t.note(r)
		return each(r)
	})
	if err != nil || ctx.Err() != nil {
		return err
	}
	return t.err()
}

// stream calls a server, and each with what it sends.
func stream[T any](ctx context.Context, server dial.Flags, call func(context.Context, observerpb.ObserverClient) (grpc.ServerStreamingClient[T], error), each func(*T) error) error {
	conn, err := server.Dial()
	if err != nil {
		return mistake.Of(err)
	}
	defer conn.Close()
	s, err := call(ctx, observerpb.NewObserverClient(conn))
	for err == nil {
		var r *T
		if r, err = s.Recv(); err == nil {
			if err := each(r); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		server.Note(reasons(s))
		return nil
	}
	return explain(server.Server, err)
}

// reasons are why a server gave less than was asked for, as it says beside its answer.
func reasons(s grpc.ClientStream) (all []string) {
	header, err := s.Header()
	if err == nil {
		all = header.Get(reason)
	}
	return append(all, s.Trailer().Get(reason)...)
}

// reason is the header of agents and relays.
const reason = "weftnet-reason"

// Recorded reads all flows that a server has since a time, in the form of --since.
func Recorded(ctx context.Context, server dial.Flags, since string, now time.Time, each func(*flowpb.Flow) error) error {
	r, err := span{since: since}.flows(now, false)
	if err != nil {
		return mistake.Of(err)
	}
	return ask(ctx, server, r, func(r *observerpb.GetFlowsResponse) error {
		if r.GetFlow() == nil {
			return nil
		}
		return each(r.GetFlow())
	})
}

// explain makes a sentence of a gRPC error.
func explain(server string, err error) error {
	s, _ := status.FromError(err)
	switch s.Code() {
	case codes.Unavailable:
		path, local := strings.CutPrefix(server, "unix://")
		if !local {
			return fmt.Errorf("no flows from %s: %s", server, plain(s.Message()))
		}
		c, cause := net.Dial("unix", path)
		if cause == nil {
			c.Close()
			return fmt.Errorf("no flows from %s: %s", server, s.Message())
		}
		return fmt.Errorf("no flows from %s: %w%s", path, root(cause), dial.Advice(cause, ", and is enable-hubble true? (weft status)"))
	case codes.InvalidArgument, codes.Unimplemented:
		return errors.New(s.Message())
	}
	return fmt.Errorf("no flows from %s: %s", server, s.Message())
}

// root is what really went wrong.
func root(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
