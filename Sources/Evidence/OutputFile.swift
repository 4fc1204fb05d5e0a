import Glibc
import Wire

/// The first thing that went wrong among the files of one run.
package final class FirstError {
    package private(set) var error: EvidenceError?

    package init() {}

    func note(_ error: EvidenceError) { if self.error == nil { self.error = error } }
}

/// A file written from front to back through one buffer that is made once.
///
/// Writing never throws: after the first error, which goes to `trouble`, the file takes what it
/// is given and discards it, so that a full disk ends the evidence and not the run.
package final class OutputFile {
    package static let bufferSize = 1 << 16

    package let path: String
    private let trouble: FirstError
    private let buffer: UnsafeMutableRawBufferPointer
    private var used = 0
    /// -1 once closed or failed.
    private var descriptor: Int32

    /// Makes the file anew; it is an error if something of that name exists.
    package convenience init(
        creating path: String, reportingTo trouble: FirstError
    ) throws(EvidenceError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw EvidenceError(.create, path, code: errno) }
        self.init(descriptor: descriptor, path: path, reportingTo: trouble)
    }

    /// Takes over a descriptor that is open for writing.
    package init(descriptor: Int32, path: String, reportingTo trouble: FirstError) {
        self.descriptor = descriptor
        self.path = path
        self.trouble = trouble
        buffer = .allocate(byteCount: Self.bufferSize, alignment: 16)
    }

    deinit {
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
        buffer.deallocate()
    }

    /// Hands everything written so far to the system.
    package func flush() {
        var done = 0
        while done < used, descriptor >= 0 {
            let count = write(descriptor, buffer.baseAddress! + done, used - done)
            if count > 0 {
                done += count
            } else if count == 0 || errno != EINTR {
                fail(.write, code: count == 0 ? EIO : errno)
            }
        }
        used = 0
    }

    /// Flushes and closes. Harmless a second time.
    package func close() {
        flush()
        guard descriptor >= 0 else { return }
        let result = Glibc.close(descriptor)
        descriptor = -1
        if result != 0 { trouble.note(EvidenceError(.close, path, code: errno)) }
    }

    private func fail(_ operation: EvidenceError.Operation, code: Int32) {
        trouble.note(EvidenceError(operation, path, code: code))
        _ = Glibc.close(descriptor)
        descriptor = -1
    }

    // MARK: Bytes

    @inline(__always)
    package func put(_ byte: UInt8) {
        if used == Self.bufferSize { flush() }
        buffer[used] = byte
        used += 1
    }

    /// Little-endian.
    @inline(__always)
    package func put<Value: FixedWidthInteger>(_ value: Value) {
        let size = MemoryLayout<Value>.size
        if Self.bufferSize - used < size { flush() }
        buffer.storeBytes(of: value.littleEndian, toByteOffset: used, as: Value.self)
        used += size
    }

    package func put(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBytes { put(raw: $0) }
    }

    package func put(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { put(raw: $0) }
    }

    package func put(_ text: StaticString) {
        put(raw: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private func put(raw bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while !rest.isEmpty {
            if used == Self.bufferSize { flush() }
            let count = min(rest.count, Self.bufferSize - used)
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[used..<used + count])
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
            used += count
            rest = rest.dropFirst(count)
        }
    }

    // MARK: Text

    package func put(decimal value: UInt64) {
        guard value >= 10 else { return put(UInt8(ascii: "0") + UInt8(value)) }
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var first = 20
        var rest = value
        while rest > 0 {
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        put(digits.span.extracting(first..<20))
    }

    /// Microseconds as seconds with six decimals.
    package func put(seconds microseconds: Int64) {
        if microseconds < 0 { put(UInt8(ascii: "-")) }
        let magnitude = microseconds.magnitude
        put(decimal: magnitude / 1_000_000)
        put(UInt8(ascii: "."))
        var unit: UInt64 = 100_000
        while unit > 0 {
            put(UInt8(ascii: "0") + UInt8(magnitude / unit % 10))
            unit /= 10
        }
    }

    /// Capital hex digits: `digits` of them, or as many as the value needs.
    package func put(hex value: UInt64, digits: Int) {
        let needed = (64 - value.leadingZeroBitCount + 3) / 4
        var place = max(digits, needed, 1) - 1
        while place >= 0 {
            put(Self.digit(value, place, letters: UInt8(ascii: "A")))
            place -= 1
        }
    }

    /// Sixteen small hex digits, as digests are written.
    package func put(digestWord value: UInt64) {
        for place in stride(from: 15, through: 0, by: -1) {
            put(Self.digit(value, place, letters: UInt8(ascii: "a")))
        }
    }

    private static func digit(_ value: UInt64, _ place: Int, letters: UInt8) -> UInt8 {
        let nibble = UInt8(truncatingIfNeeded: value >> UInt64(4 * place)) & 15
        return nibble < 10 ? UInt8(ascii: "0") + nibble : letters + nibble - 10
    }
}
