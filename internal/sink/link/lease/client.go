package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"weftnet.io/weftnet/internal/ipam/dhcp"
	"weftnet.io/weftnet/internal/sink/link/wire"
	table "weftnet.io/weftnet/internal/table/lease"
	"weftnet.io/weftnet/internal/table/network"
)

// client keeps one lease. All but end is its own goroutine's.
type client struct {
	keeper  *Keeper
	order   table.Order
	record  record
	machine *dhcp.Machine
	mac     net.HardwareAddr
	renewed int
	says    string
	warned  bool
	again   time.Time // when the kernel is asked once more to take the lease; zero: it has it

	socket *wire.Socket
	close  context.CancelFunc // of the socket
	heard  chan []byte        // frames of it
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

func idle(k *Keeper, r record) *client {
	mac, _ := net.ParseMAC(r.Order.MAC) // of a device of the kernel's
	c := &client{keeper: k, order: r.Order, record: r, mac: mac}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	who := dhcp.Who{
		ID: r.Order.Client, MAC: mac, Wish: r.Order.Wish, Random: rand.Uint32,
		Config: dhcp.Config{Provide: r.Order.Provide, Request: r.Order.Request},
	}
	if r.Lease.Address.IsValid() {
		c.machine = dhcp.Resume(who, r.Lease, now())
	} else {
		c.machine = dhcp.New(who, now())
	}
	return c
}

func newClient(k *Keeper, r record) *client {
	c := idle(k, r)
	c.done = make(chan struct{})
	go c.run()
	return c
}

// end stops the client and waits for that. It may be called again.
func (c *client) end() {
	c.cancel()
	<-c.done
}

func (c *client) run() {
	defer close(c.done)
	defer c.deafen()
	if held := c.machine.Lease(); held.Address.IsValid() { // of an earlier agent: the kernel may have restarted
		c.use(held)
	} else if c.record.Lease.Address.IsValid() {
		c.lost(dhcp.Output{Event: dhcp.Ended, Was: c.record.Lease})
	}
	for {
		var due <-chan time.Time
		var timer *time.Timer
		next := c.machine.Next()
		if !c.again.IsZero() && (next.IsZero() || c.again.Before(next)) {
			next = c.again
		}
		if !next.IsZero() {
			timer = time.NewTimer(next.Sub(now()))
			due = timer.C
		}
		select {
		case <-c.ctx.Done():
		case <-due:
			if held := c.machine.Lease(); !c.again.IsZero() && !now().Before(c.again) && !held.Ended(now()) {
				c.use(held)
			}
			c.follow(c.machine.Tick(now()))
		case frame := <-c.heard:
			if u, ok := wire.ReadUDP(frame); ok {
				c.follow(c.machine.Take(now(), u.Payload, u.From.String()))
			}
		}
		if timer != nil {
			timer.Stop()
		}
		if c.ctx.Err() != nil {
			return
		}
		if c.machine.Phase() == dhcp.Bound {
			c.deafen()
		}
	}
}

// follow does what the machine says.
func (c *client) follow(out dhcp.Output) {
	switch out.Event {
	case dhcp.Got, dhcp.Kept:
		held := c.machine.Lease()
		if out.Event == dhcp.Got && !c.free(held) {
			return
		}
		if out.Event == dhcp.Kept {
			c.renewed++
		}
		c.use(held)
	case dhcp.Ended, dhcp.Denied:
		c.lost(out)
	}
	if c.send(out); out.Event == 0 && c.machine.Phase() != dhcp.Bound {
		c.complain()
	}
}

// send sends packets. What the kernel refuses is as good as lost on the wire: the machine says it again.
func (c *client) send(out dhcp.Output) {
	for _, p := range out.Send {
		if err := c.listen(); err != nil {
			c.trouble(err.Error())
			return
		}
		to := wire.Broadcast
		if mac, err := net.ParseMAC(p.MAC); err == nil && len(mac) == len(to) {
			to = mac
		}
		packet := wire.UDP{From: c.mac, To: to, Src: netip.AddrPortFrom(p.Src, 68), Dst: netip.AddrPortFrom(p.Dst, 67), Payload: p.Payload}
		if _, err := c.socket.Write(packet.Frame()); err != nil {
			c.trouble(fmt.Sprintf("ask for an address on %s: %v", c.order.Wire, err))
			c.deafen()
		}
	}
}

// listen opens the NIC's socket, unless it is open.
func (c *client) listen() error {
	if c.socket != nil {
		return nil
	}
	s, err := c.open()
	if err != nil {
		return err
	}
	heard := make(chan []byte)
	ctx, cancel := context.WithCancel(c.ctx)
	c.socket, c.heard, c.close = s, heard, cancel
	go func() {
		for {
			frame, err := s.Next()
			if err != nil {
				if errors.Is(err, os.ErrClosed) {
					return
				}
				continue // the device went down for a moment, or for good: then the socket is closed soon
			}
			copied := append([]byte(nil), frame...)
			select {
			case heard <- copied:
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

func (c *client) deafen() {
	if c.socket != nil {
		c.close()
		c.socket.Close()
		c.socket, c.heard = nil, nil
	}
}

// use puts a lease on disk, into the NIC, and then into table Leases.
func (c *client) use(held dhcp.Lease) {
	was := c.record
	c.record.Lease, c.record.Served, c.again = held, true, time.Time{}
	err := c.keeper.keep(c.record)
	if err == nil {
		err = c.put(was.Lease, held)
	}
	if err == nil {
		dns := network.DNS{Servers: held.DNS.Nameservers, Domain: held.DNS.Domain, Search: held.DNS.Search}
		err = c.keeper.NICs.Addressed(c.order.ContainerID, c.order.Interface, []netip.Prefix{held.Address}, held.Gateways, dns)
	}
	if err == nil { // last: pods wait for this
		err = c.keeper.say(c.record, c.renewed, "")
	}
	if err != nil {
		c.record.Served, c.again = was.Served, now().Add(pause)
		c.trouble(err.Error())
		return
	}
	c.says, c.warned = "", false
	if !was.Served || was.Lease.Address != held.Address {
		c.tell(false, "AddedInterface", fmt.Sprintf("Add %s [%s] from %s, by DHCP server %s", c.order.Interface, held.Address, c.order.Definition, held.Server))
	}
}

// pause before the kernel is asked once more.
const pause = 2 * time.Second

// lost takes an address off whose lease is over.
func (c *client) lost(out dhcp.Output) {
	why := fmt.Sprintf("its lease of DHCP server %s has ended, and none on %s has renewed it", out.Was.Server, c.order.Wire)
	if out.Event == dhcp.Denied {
		why = fmt.Sprintf("a DHCP server on %s says that its lease is over", c.order.Wire)
	}
	why = fmt.Sprintf("%s is taken off: %s", out.Was.Address, why)
	c.record.Lease, c.again = dhcp.Lease{}, time.Time{}
	err := errors.Join(
		c.keeper.keep(c.record),
		c.take(out.Was),
		c.keeper.NICs.Addressed(c.order.ContainerID, c.order.Interface, nil, nil, network.DNS{}),
		c.keeper.say(c.record, c.renewed, why),
	)
	if err != nil {
		c.trouble(err.Error())
	}
	c.keeper.Log.Warn("a NIC has lost its address", "nic", c.order.Title(), "why", why, "error", err)
	c.tell(true, "LostAddress", c.order.Title()+": "+why)
	c.warned = true
}

// complain says why there is no address yet.
func (c *client) complain() {
	switch tries, _ := c.machine.Asked(); {
	case c.machine.Phase() == dhcp.Selecting && tries > 1:
		c.trouble(fmt.Sprintf("no DHCP server answers on %s (asked %d times, as client %s): is there one on that wire, and has it an address left?", c.order.Wire, tries, c.order.Client))
	case c.machine.Phase() == dhcp.Requesting && tries > 1:
		c.trouble(fmt.Sprintf("a DHCP server on %s has offered an address, and does not confirm it (asked %d times)", c.order.Wire, tries))
	}
}

// trouble notes why there is no lease; people are told once.
func (c *client) trouble(says string) {
	if c.says == says {
		return
	}
	c.says = says
	if err := c.keeper.say(c.record, c.renewed, says); err != nil {
		c.keeper.Log.Error("note what keeps a lease away", "nic", c.order.Title(), "error", err)
	}
	if tries, _ := c.machine.Asked(); !c.warned && tries >= patience {
		c.warned = true
		c.keeper.Log.Warn("a NIC gets no address", "nic", c.order.Title(), "why", says)
		c.tell(true, "FailedInterface", c.order.Title()+": "+says)
	}
}

// patience is how often servers are asked before people are told.
const patience = 4

func (c *client) tell(warning bool, reason, message string) {
	if c.keeper.Tell != nil {
		c.keeper.Tell(c.order, warning, reason, message)
	}
}

// release gives the lease back. The client has ended.
func (c *client) release() {
	defer c.deafen()
	defer c.cancel()
	held := c.machine.Lease()
	out := c.machine.Release(now())
	if len(out.Send) == 0 {
		return
	}
	if s, err := c.open(); err == nil { // where the namespace is gone, the server waits for the end of the lease
		c.socket, c.close = s, c.cancel
		c.send(out)
	}
	_ = c.take(held) // the NIC is about to go
}

// free tells whether no other machine has an address; if one has, it is declined.
func (c *client) free(held dhcp.Lease) bool {
	other, err := c.probe(held.Address.Addr())
	if err != nil {
		c.keeper.Log.Warn("an address is used without having been asked for on the wire", "nic", c.order.Title(), "address", held.Address, "error", err)
	}
	if other == nil {
		return true
	}
	c.send(c.machine.Decline(now()))
	c.trouble(fmt.Sprintf("DHCP server %s gives %s, which %s on %s has already: it is declined, and another one asked for", held.Server, held.Address.Addr(), other, c.order.Wire))
	return false
}
