package rtnetlink

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Device is what a message says of a device: what is of use here, and read from it without more. Each change of each device
// is told to several listeners.
type Device struct {
	Index  int
	Peer   int // index of what it belongs to, for one side of a pair that of the other side, in its namespace
	Master int
	Name   string
	Alias  string
	Kind   string // veth, vxlan, …; empty for hardware
	MAC    string // empty if it has none
	MTU    int
	Up     bool
}

// ReadDevice reads a message of type RTM_NEWLINK.
func ReadDevice(data []byte) (d Device, err error) {
	if len(data) < unix.SizeofIfInfomsg {
		return d, errCut
	}
	head := nl.DeserializeIfInfomsg(data)
	d.Index, d.Up = int(head.Index), head.Flags&unix.IFF_UP != 0
	err = attributes(data[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.IFLA_IFNAME:
			d.Name = unix.ByteSliceToString(value)
		case unix.IFLA_IFALIAS:
			d.Alias = unix.ByteSliceToString(value)
		case unix.IFLA_ADDRESS:
			if strings.Trim(string(value), "\x00") != "" { // that of lo is none
				d.MAC = net.HardwareAddr(value).String()
			}
		case unix.IFLA_MTU:
			d.MTU = number(value)
		case unix.IFLA_LINK:
			d.Peer = number(value)
		case unix.IFLA_MASTER:
			d.Master = number(value)
		case unix.IFLA_LINKINFO:
			_ = attributes(value, func(kind uint16, value []byte) {
				if kind == nl.IFLA_INFO_KIND {
					d.Kind = unix.ByteSliceToString(value)
				}
			})
		}
	})
	return d, err
}

var errCut = errors.New("a message about a device is cut short")

// attributes walks through attributes (rtattr of rtnetlink(3)).
func attributes(data []byte, yield func(kind uint16, value []byte)) error {
	for len(data) >= unix.SizeofRtAttr {
		length, kind := int(nl.NativeEndian().Uint16(data)), nl.NativeEndian().Uint16(data[2:])
		if length < unix.SizeofRtAttr || length > len(data) {
			return errCut
		}
		yield(kind&nl.NLA_TYPE_MASK, data[unix.SizeofRtAttr:length])
		data = data[min((length+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(data)):]
	}
	return nil
}

func number(value []byte) int {
	if len(value) < 4 {
		return 0
	}
	return int(nl.NativeEndian().Uint32(value))
}

// Settings are those of a device for IPv6, by their numbers (DEVCONF_ of linux/ipv6.h); nil: it has none.
type Settings []int32

func readSettings(data []byte) (list Settings) {
	if len(data) < unix.SizeofIfInfomsg {
		return nil
	}
	within := func(data []byte, kind uint16, then func(value []byte)) {
		_ = attributes(data, func(k uint16, value []byte) { // what is cut short has none
			if k == kind {
				then(value)
			}
		})
	}
	within(data[unix.SizeofIfInfomsg:], unix.IFLA_AF_SPEC, func(value []byte) {
		within(value, unix.AF_INET6, func(value []byte) {
			within(value, unix.IFLA_INET6_CONF, func(value []byte) {
				for ; len(value) >= 4; value = value[4:] {
					list = append(list, int32(nl.NativeEndian().Uint32(value)))
				}
			})
		})
	})
	return list
}

// Device reads the device with a name. The error is unix.ENODEV if there is none.
func (s *Socket) Device(name string) (d Device, err error) {
	err = s.device(0, name, func(data []byte) (err error) { d, err = ReadDevice(data); return err })
	return d, err
}

// DeviceAt reads the device with an index. The error is unix.ENODEV if there is none.
func (s *Socket) DeviceAt(index int) (d Device, err error) {
	err = s.device(index, "", func(data []byte) (err error) { d, err = ReadDevice(data); return err })
	return d, err
}

// DeviceAndSettings reads the device with a name, and its settings. The error is unix.ENODEV if there is none.
func (s *Socket) DeviceAndSettings(name string) (d Device, settings Settings, err error) {
	err = s.device(0, name, func(data []byte) (err error) {
		d, err = ReadDevice(data)
		settings = readSettings(data)
		return err
	})
	return d, settings, err
}

// SettingsAt reads the settings of the device with an index. The error is unix.ENODEV if there is none.
func (s *Socket) SettingsAt(index int) (settings Settings, err error) {
	err = s.device(index, "", func(data []byte) error { settings = readSettings(data); return nil })
	return settings, err
}

// device asks for one with an index, or a name.
func (s *Socket) device(index int, name string, read func(data []byte) error) error {
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Index = int32(index)
	r.AddData(head)
	if name != "" {
		r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	}
	var unread error
	err := s.Ask(r, func(data []byte) { unread = read(data) })
	return errors.Join(err, unread)
}

// Devices reads all devices. The error is netlink.ErrDumpInterrupted if some have changed meanwhile.
func (s *Socket) Devices() (list []Device, err error) {
	var unread error
	err = s.EachDevice(func(data []byte) {
		d, err := ReadDevice(data)
		if err != nil {
			unread = fmt.Errorf("read devices: %w", err)
			return
		}
		list = append(list, d)
	})
	return list, errors.Join(err, unread)
}

// EachDevice is Devices, with the messages as they are.
func (s *Socket) EachDevice(yield func(data []byte)) error {
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	return s.Ask(r, yield)
}
