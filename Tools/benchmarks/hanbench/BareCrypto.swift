import BenchmarkSupport
import Crypto
import Radio
import Wire
import Zigbee

/// The AES-CCM* work of a run's frames without anything around it: each is sealed and opened
/// again, APS and NWK, by libcrypto alone.
struct BareCrypto {
    private var frames: [ccm_frame] = []
    private let keys: [Key128]

    var count: Int { frames.count }

    /// Opens the frames that a run has sent; those without NWK security, which carry the first
    /// network key, are left out.
    init(_ witness: Witness) throws {
        keys = witness.keys
        let engine = CryptoEngine()
        for psdu in witness.frames {
            if let frame = try Self.frame(psdu, keys, engine) { frames.append(frame) }
        }
        guard frames.count >= 2 * Download.imageSize / 48 else {
            throw BenchmarkError("only \(frames.count) secured frames were found")
        }
    }

    private static func frame(
        _ psdu: FrameBuffer, _ keys: [Key128], _ engine: CryptoEngine
    ) throws -> ccm_frame? {
        var bytes = psdu
        bytes.truncate(to: bytes.count - 2)
        var reader = ByteReader(bytes.span)
        let mac = try MACHeader(parsing: &reader)
        guard mac.kind == .data else { return nil }
        let start = reader.offset
        let nwk = try NWKHeader(parsing: &reader)
        guard nwk.isSecured else { return nil }
        let outerControl = reader.offset
        let auxiliary = try AuxiliaryHeader(parsing: &reader)
        guard let sender = auxiliary.source else { throw BenchmarkError("no extended nonce") }
        var result = ccm_frame()
        result.outer = layer(
            key: 0, header: start, text: reader.offset, end: bytes.count, control: outerControl,
            auxiliary, from: sender)
        withUnsafeMutableBytes(of: &result.mic) { mic in
            for index in 0..<4 { mic[index] = bytes[bytes.count - 4 + index] }
        }
        try open(&bytes, result.outer, auxiliary, sender, keys[0], engine)
        if nwk.kind == .data {
            let text = Int(result.outer.text)
            result.inner = try openAPS(&bytes, from: text, sender, keys[1], engine)
        }
        withUnsafeMutableBytes(of: &result.bytes) { target in
            for index in 0..<bytes.count { target[index] = bytes[index] }
        }
        return result
    }

    private static func openAPS(
        _ bytes: inout FrameBuffer, from start: Int, _ sender: EUI64, _ key: Key128,
        _ engine: CryptoEngine
    ) throws -> ccm_layer {
        var reader = ByteReader(bytes.span.extracting(start...))
        guard try APSHeader(parsing: &reader).isSecured else { return ccm_layer() }
        let control = start + reader.offset
        let auxiliary = try AuxiliaryHeader(parsing: &reader)
        let inner = layer(
            key: 1, header: start, text: start + reader.offset, end: bytes.count, control: control,
            auxiliary, from: sender)
        try open(&bytes, inner, auxiliary, sender, key, engine)
        return inner
    }

    private static func layer(
        key: UInt8, header: Int, text: Int, end: Int, control: Int, _ auxiliary: AuxiliaryHeader,
        from sender: EUI64
    ) -> ccm_layer {
        var layer = ccm_layer()
        layer.key = key
        layer.header = UInt8(header)
        layer.text = UInt8(text)
        layer.count = UInt8(end - text - 4)
        layer.control = UInt8(control)
        let nonce = CCMNonce(
            source: sender, counter: auxiliary.frameCounter, control: auxiliary.fullControl)
        withUnsafeMutableBytes(of: &layer.nonce) { $0.copyBytes(from: nonce.bytes) }
        return layer
    }

    /// Opens one layer and cuts its integrity code off, which `ccm_replay` writes again.
    private static func open(
        _ bytes: inout FrameBuffer, _ layer: ccm_layer, _ auxiliary: AuxiliaryHeader,
        _ sender: EUI64, _ key: Key128, _ engine: CryptoEngine
    ) throws {
        let control = Int(layer.control)
        bytes[control] |= AuxiliaryHeader.securityLevel
        let nonce = CCMNonce(
            source: sender, counter: auxiliary.frameCounter, control: auxiliary.fullControl)
        guard
            engine.open(
                &bytes, from: Int(layer.header), payload: Int(layer.text), key: key, nonce: nonce)
        else { throw BenchmarkError("a frame of the run cannot be opened") }
        bytes[control] &= 0xF8
    }

    /// Seals and opens every frame once; the seconds of processor time it took.
    mutating func run() throws -> Double {
        var bytes = keys.flatMap(\.bytes)
        let began = processorTime()
        let differing = bytes.withUnsafeMutableBytes { keys in
            ccm_replay(
                &frames, frames.count, keys.baseAddress!.assumingMemoryBound(to: Key.self),
                self.keys.count)
        }
        let seconds = processorTime() - began
        guard differing == 0 else {
            throw BenchmarkError("\(differing) frames came out other than they were sent")
        }
        return seconds
    }

    private typealias Key = (
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
    )
}
