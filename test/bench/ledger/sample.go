package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	interval = 50 * time.Microsecond // between samples of a CPU
	ringSize = 1 << 22               // bytes, a power of two
	deepest  = 24                    // calls

	sampled   = 9             // PERF_RECORD_SAMPLE
	lost      = 2             // PERF_RECORD_LOST
	recordTop = 8             // struct perf_event_header
	markers   = ^uint64(4095) // PERF_CONTEXT_MAX and above are no addresses
)

// ring is where the kernel writes the samples of a CPU.
type ring struct {
	fd  int
	mem []byte
}

// sample calls for each sample of the kernel, the innermost place first, until end is called: one call at a time.
func sample(each func(chain []uint64)) (end func() error, err error) {
	var rings []ring
	closeAll := func() {
		for _, r := range rings {
			_ = unix.Munmap(r.mem)
			_ = unix.Close(r.fd)
		}
	}
	for cpu := range runtime.NumCPU() {
		r, err := openRing(cpu)
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("sample CPU %d (perf_event_open(2)): %w", cpu, err)
		}
		rings = append(rings, r)
	}
	stop, stopped := make(chan struct{}), sync.WaitGroup{}
	missed := 0
	stopped.Go(func() {
		for {
			for _, r := range rings {
				missed += r.read(each)
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() error {
		close(stop)
		stopped.Wait()
		closeAll()
		if missed > 0 {
			return fmt.Errorf("%d samples did not fit: the machine is too busy to read them", missed)
		}
		return nil
	}, nil
}

func openRing(cpu int) (r ring, err error) {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Sample: uint64(interval), Sample_type: unix.PERF_SAMPLE_CALLCHAIN,
		Bits: unix.PerfBitExcludeUser | unix.PerfBitExcludeCallchainUser, Sample_max_stack: deepest,
	}
	attr.Size = uint32(unsafe.Sizeof(attr))
	if r.fd, err = unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC); err != nil {
		return r, err
	}
	if r.mem, err = unix.Mmap(r.fd, 0, os.Getpagesize()+ringSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return r, errors.Join(fmt.Errorf("map its ring: %w", err), unix.Close(r.fd))
	}
	return r, nil
}

// read takes all records out, and tells how many there was no room for.
func (r ring) read(each func(chain []uint64)) (missed int) {
	head := (*unix.PerfEventMmapPage)(unsafe.Pointer(&r.mem[0]))
	data := r.mem[os.Getpagesize():]
	at := func(offset uint64) uint64 { // records are in words, which do not lie across the end
		return binary.NativeEndian.Uint64(data[offset%ringSize:])
	}
	end, tail := atomic.LoadUint64(&head.Data_head), head.Data_tail
	for tail < end {
		top := at(tail)
		kind, size := uint32(top), top>>48
		switch kind {
		case sampled:
			chain := make([]uint64, 0, deepest)
			for i := range at(tail + recordTop) {
				if ip := at(tail + recordTop + 8 + 8*i); ip < markers {
					chain = append(chain, ip)
				}
			}
			each(chain)
		case lost:
			missed += int(at(tail + recordTop + 8))
		}
		tail += size
	}
	atomic.StoreUint64(&head.Data_tail, tail)
	return missed
}
