package watcher

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const inoHeader = 16

// inoDecoder takes inotify records apart. A record is
//
//	wd s32 | mask u32 | cookie u32 | len u32 | name, NUL-padded to len
//
// in the machine's byte order.
type inoDecoder struct {
	ring  *ring
	count *counters
	s     slot
	p     payload
}

// decode pushes all records of buf.
func (d *inoDecoder) decode(buf []byte, now int64) {
	var read uint64
	for len(buf) > 0 {
		if len(buf) < inoHeader {
			d.ring.control(slotBad, now, 0)
			break
		}
		n := uint64(binary.NativeEndian.Uint32(buf[12:])) + inoHeader
		if n > uint64(len(buf)) {
			d.ring.control(slotBad, now, 0)
			break
		}
		read++
		switch d.record(buf[:n]) {
		case recordGood:
			d.s.time = now
			d.ring.push(&d.s, &d.p)
		case recordOverflow:
			d.ring.control(slotOverflow, now, 0)
		default:
			d.ring.control(slotBad, now, 0)
		}
		buf = buf[n:]
	}
	d.count.read.Add(read)
}

// record takes one record apart into d.s and d.p, which alias rec.
func (d *inoDecoder) record(rec []byte) recordState {
	d.s = slot{
		wd:     int32(binary.NativeEndian.Uint32(rec)),
		mask:   uint64(binary.NativeEndian.Uint32(rec[4:])),
		cookie: binary.NativeEndian.Uint32(rec[8:]),
	}
	d.p = payload{}
	if d.s.mask&unix.IN_Q_OVERFLOW != 0 {
		return recordOverflow
	}
	name := rec[inoHeader:]
	if len(name) == 0 {
		return recordGood
	}
	end := bytes.IndexByte(name, 0)
	if end < 0 {
		end = len(name)
	}
	if end > 255 || bytes.IndexByte(name[:end], '/') >= 0 {
		return recordBad
	}
	d.p[partName] = name[:end:end]
	return recordGood
}
