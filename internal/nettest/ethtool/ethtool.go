// Package ethtool turns on and off what devices leave to others (ethtool(8), option -K).
//
// # The world it models
//
// A veth pair passes packets whose checksum nothing has computed, since both ends are one kernel; a wire does not. And a pair takes
// frames of XDP at an end that receives in batches (GRO).
//
// # Invariants
//
//   - The device is of the network namespace of the calling thread.
//
// # Example
//
//	err := ethtool.Set("eth0", ethtool.Checksums, false)
package ethtool

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Feature is what may be left to others, by its command of include/uapi/linux/ethtool.h.
type Feature uint32

const (
	Checksums Feature = 0x17 // ETHTOOL_STXCSUM: those of packets that it sends
	Batches   Feature = 0x2c // ETHTOOL_SGRO: it puts packets together that it receives
)

// value is struct ethtool_value.
type value struct{ command, data uint32 }

// request is struct ifreq.
type request struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// Set turns a feature of a device on or off.
func Set(device string, f Feature, on bool) error {
	v := value{command: uint32(f)}
	if on {
		v.data = 1
	}
	r := request{data: unsafe.Pointer(&v)}
	copy(r.name[:unix.IFNAMSIZ-1], device)
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(s)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return fmt.Errorf("set a feature of device %s: %w", device, errno)
	}
	return nil
}
