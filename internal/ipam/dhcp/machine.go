package dhcp

import (
	"bytes"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// Phase is what a client is about.
type Phase uint8

// Phases.
const (
	Selecting Phase = iota + 1
	Requesting
	Bound
	Renewing
	Rebinding
)

func (p Phase) String() string {
	return []string{"none", "selecting", "requesting", "bound", "renewing", "rebinding"}[p]
}

// Event is what became of the lease.
type Event uint8

// Events.
const (
	Got    Event = iota + 1 // there is one, or another one than before
	Kept                    // it goes on
	Ended                   // nothing has renewed it in time
	Denied                  // a server says that it is over
)

// Packet is one to be sent from port 68 to port 67.
type Packet struct {
	Payload  []byte
	Src, Dst netip.Addr
	MAC      string // of the receiver; empty: all
}

// Output is what follows from a moment, or from a message.
type Output struct {
	Send  []Packet
	Event Event
	Was   Lease // that was lost
}

// Who is the client.
type Who struct {
	ID     string // what servers know it by, option 61: stays with its owner
	MAC    net.HardwareAddr
	Wish   netip.Addr    // the address that it had, or would like; zero: any
	Random func() uint32 // numbers of messages
	Config
}

// Machine is a client. Only one may call it at a time.
type Machine struct {
	Who
	phase   Phase
	lease   Lease
	offered Lease
	xid     dhcpv4.TransactionID
	began   time.Time // of what it is about
	next    time.Time // when something is to be done; zero: never
	tries   int
}

// New is a client without a lease: the first Tick begins.
func New(who Who, now time.Time) *Machine {
	m := &Machine{Who: who}
	m.begin(now, 0)
	return m
}

// Resume is a client with the lease of an earlier process.
func Resume(who Who, lease Lease, now time.Time) *Machine {
	m := &Machine{Who: who}
	m.Wish = lease.Address.Addr()
	if lease.Ended(now) {
		m.begin(now, 0)
		return m
	}
	m.bind(lease)
	return m
}

// Lease is what it holds; with a zero Address nothing.
func (m *Machine) Lease() Lease { return m.lease }

// Phase is what it is about.
func (m *Machine) Phase() Phase { return m.phase }

// Next is when Tick is to be called; zero: not before an answer comes.
func (m *Machine) Next() time.Time { return m.next }

// Asked is how often a server has been asked in vain, and since when.
func (m *Machine) Asked() (int, time.Time) { return m.tries, m.began }

// begin looks for a server, after a pause.
func (m *Machine) begin(now time.Time, pause time.Duration) {
	m.phase, m.lease, m.offered, m.tries = Selecting, Lease{}, Lease{}, 0
	m.began, m.next = now, now.Add(pause)
}

// bind takes a lease.
func (m *Machine) bind(l Lease) {
	m.phase, m.lease, m.next, m.tries, m.Wish = Bound, l, l.Renew, 0, l.Address.Addr()
}

// pauses between messages, in seconds: the first servers are asked again soon, since a pod waits (RFC 2131 4.1 begins with 4).
const (
	longest  = 64 * time.Second
	patience = 4           // requests that a server may leave unanswered
	sparing  = time.Minute // between requests for a lease that lasts (RFC 2131 4.4.5)
)

// pause before the next message of a phase, a bit more or less.
func (m *Machine) pause() time.Duration {
	d := min(longest, time.Second<<min(m.tries-1, 10))
	return d - d/8 + time.Duration(uint64(d/4)*uint64(m.Random()>>16)>>16)
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time) Output {
	if m.next.IsZero() || now.Before(m.next) {
		return Output{}
	}
	if m.phase >= Bound && m.lease.Ended(now) {
		was := m.lease
		m.begin(now, 0)
		out := m.Tick(now)
		out.Event, out.Was = Ended, was
		return out
	}
	switch m.phase {
	case Selecting:
		if m.tries == 0 {
			m.number()
		}
		m.tries++
		m.next = now.Add(m.pause())
		return m.say(dhcpv4.MessageTypeDiscover, now)
	case Requesting:
		if m.tries >= patience {
			m.begin(now, 0)
			return m.Tick(now)
		}
		m.tries++
		m.next = now.Add(m.pause())
		return m.say(dhcpv4.MessageTypeRequest, now)
	}
	phase, end := Renewing, m.lease.Rebind
	if !now.Before(m.lease.Rebind) {
		phase, end = Rebinding, m.lease.Until
	}
	if m.phase != phase {
		m.phase, m.began, m.tries = phase, now, 0
		m.number()
	}
	m.tries++
	m.next = now.Add(max(sparing, end.Sub(now)/2))
	if m.next.After(end) {
		m.next = end
	}
	return m.say(dhcpv4.MessageTypeRequest, now)
}

// number begins an exchange.
func (m *Machine) number() {
	n := m.Random()
	m.xid = dhcpv4.TransactionID{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// maxMessage is how long messages of servers may be.
const maxMessage = 1500

// say makes a message.
func (m *Machine) say(kind dhcpv4.MessageType, now time.Time) Output {
	d := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: m.MAC, TransactionID: m.xid, Options: dhcpv4.Options{},
		NumSeconds: uint16(min(max(now.Sub(m.began)/time.Second, 0), 1<<16-1)),
	}
	for _, o := range m.Provide {
		d.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(o.Code), []byte(o.Value)))
	}
	d.UpdateOption(dhcpv4.OptMessageType(kind))
	if !d.Options.Has(dhcpv4.OptionClientIdentifier) {
		d.UpdateOption(dhcpv4.OptClientIdentifier(append([]byte{0}, m.ID...))) // RFC 2132 9.14: type 0 is no hardware address
	}
	p := Packet{Src: netip.IPv4Unspecified(), Dst: netip.AddrFrom4([4]byte{255, 255, 255, 255})}
	direct := func() { // to its server, from its address
		p.Src, p.Dst, p.MAC = m.lease.Address.Addr(), m.lease.Server, m.lease.Via
	}
	switch {
	case kind == dhcpv4.MessageTypeRelease:
		d.ClientIPAddr = m.lease.Address.Addr().AsSlice()
		d.UpdateOption(dhcpv4.OptServerIdentifier(m.lease.Server.AsSlice()))
		direct()
	case kind == dhcpv4.MessageTypeDecline:
		d.UpdateOption(dhcpv4.OptServerIdentifier(m.lease.Server.AsSlice()))
		d.UpdateOption(dhcpv4.OptRequestedIPAddress(m.lease.Address.Addr().AsSlice()))
	default:
		d.UpdateOption(dhcpv4.OptMaxMessageSize(maxMessage))
		d.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionParameterRequestList, m.Request))
		switch m.phase {
		case Selecting:
			if m.Wish.Is4() {
				d.UpdateOption(dhcpv4.OptRequestedIPAddress(m.Wish.AsSlice()))
			}
		case Requesting:
			d.UpdateOption(dhcpv4.OptRequestedIPAddress(m.offered.Address.Addr().AsSlice()))
			d.UpdateOption(dhcpv4.OptServerIdentifier(m.offered.Server.AsSlice()))
		case Renewing:
			d.ClientIPAddr = m.lease.Address.Addr().AsSlice()
			direct()
		case Rebinding:
			d.ClientIPAddr = m.lease.Address.Addr().AsSlice()
			p.Src = m.lease.Address.Addr()
		}
	}
	p.Payload = d.ToBytes()
	return Output{Send: []Packet{p}}
}

// Take hears what came to port 68, from a MAC address. What is not an answer to what was asked last is nothing.
func (m *Machine) Take(now time.Time, payload []byte, from string) Output {
	if len(payload) > maxMessage {
		return Output{}
	}
	d, err := dhcpv4.FromBytes(payload)
	if err != nil || d.OpCode != dhcpv4.OpcodeBootReply || d.TransactionID != m.xid || !bytes.Equal(d.ClientHWAddr, m.MAC) {
		return Output{}
	}
	server, _ := single(d.ServerIdentifier())
	switch kind := d.MessageType(); {
	case m.phase == Selecting && m.tries > 0 && kind == dhcpv4.MessageTypeOffer:
		offered, err := m.read(d, now)
		if err != nil {
			return Output{}
		}
		m.phase, m.offered, m.tries, m.began = Requesting, offered, 1, now
		m.next = now.Add(m.pause())
		return m.say(dhcpv4.MessageTypeRequest, now)
	case kind == dhcpv4.MessageTypeAck && (m.phase == Requesting || m.phase == Renewing || m.phase == Rebinding):
		return m.acknowledged(d, now, from)
	case kind == dhcpv4.MessageTypeNak && m.phase == Requesting && server == m.offered.Server:
		m.begin(now, time.Second)
	case kind == dhcpv4.MessageTypeNak && (m.phase == Rebinding && server.IsValid() || m.phase == Renewing && server == m.lease.Server):
		was := m.lease
		m.begin(now, 0)
		out := m.Tick(now)
		out.Event, out.Was = Denied, was
		return out
	}
	return Output{}
}

func (m *Machine) acknowledged(d *dhcpv4.DHCPv4, now time.Time, from string) Output {
	l, err := m.read(d, now)
	if err != nil {
		return Output{}
	}
	was, event := m.lease, Got
	switch {
	case m.phase == Requesting && (l.Server != m.offered.Server || l.Address.Addr() != m.offered.Address.Addr()):
		return Output{}
	case m.phase == Renewing && l.Server != m.lease.Server, m.phase != Requesting && l.Address.Addr() != m.lease.Address.Addr():
		return Output{}
	case was.Address == l.Address:
		event = Kept
	}
	l.Via = from
	m.bind(l)
	return Output{Event: event}
}

// Decline says that another machine has the address that was just given. It begins anew in a while (RFC 2131 3.1).
func (m *Machine) Decline(now time.Time) Output {
	out := m.say(dhcpv4.MessageTypeDecline, now)
	m.begin(now, shortest)
	m.Wish = netip.Addr{}
	return out
}

// Release gives the lease back. The client is over.
func (m *Machine) Release(now time.Time) Output {
	if m.lease.Ended(now) {
		return Output{}
	}
	m.began = now
	m.number()
	out := m.say(dhcpv4.MessageTypeRelease, now)
	m.lease, m.next = Lease{}, time.Time{}
	return out
}
