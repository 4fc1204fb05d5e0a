import Crypto
import DCC
import Tracking
import Wire

/// Answers whose askers may not have heard them: they wait for the store, or the server was killed
/// before it could give them. Who asks the same again gets them, instead of hearing that the
/// request has been here before.
struct UnheardAnswers {
    /// What was asked: another request of the same id is not heard in its place.
    struct Key: Hashable, Sendable {
        var id: RequestID
        /// `ServiceRequest.digest`
        var digest: String
    }

    private var records: [Key: AnswerRecord] = [:]
    /// The oldest first.
    private var order: [Key] = []
    /// So many at most; the oldest are given up.
    private static let limit = 1_000

    init(_ stored: [DCCRecord]) {
        for case .answer(let record) in stored {
            records[Key(id: record.id, digest: record.digest)] = record
        }
        order = records.values.sorted { ($0.time, $0.id) < ($1.time, $1.id) }.map {
            Key(id: $0.id, digest: $0.digest)
        }
    }

    func answer(to key: Key) -> ServiceResponse? { records[key]?.response }

    /// What is to be stored for that.
    mutating func keep(_ record: AnswerRecord) -> [StoreChange.RecordChange] {
        let key = Key(id: record.id, digest: record.digest)
        var changes = [StoreChange.RecordChange.save(.answer(record))]
        if records.updateValue(record, forKey: key) == nil { order.append(key) }
        if order.count > Self.limit, let change = heard(order[0]) { changes.append(change) }
        return changes
    }

    /// It has been given; what is to be stored for that.
    mutating func heard(_ key: Key) -> StoreChange.RecordChange? {
        guard let record = records.removeValue(forKey: key) else { return nil }
        order.removeAll { $0 == key }
        return .remove(DCCRecord.answer(record).key)
    }
}

extension ServiceRequest {
    /// SHA-256 in hex of all that it asks for, and where.
    func digest(over service: WebService) -> String {
        let hasher = SHA256Hasher()
        func add(_ text: String) { hasher.update(Array("\(text.utf8.count):\(text)".utf8)) }
        for text in [service.rawValue, reference, variant, "\(commandVariant)"] { add(text) }
        switch body {
        case .updateFirmware(let update), .updatePPMIDFirmware(let update):
            add(update.version)
            add("\(update.image.count)")
            hasher.update(update.image)
            var ids: [UInt8] = []
            ids.reserveCapacity(update.devices.count * 8)
            for id in update.devices {
                withUnsafeBytes(of: id.rawValue.bigEndian) { ids += $0 }
            }
            hasher.update(ids)
        default: add("\(body)")
        }
        return Hex.string(hasher.finish().bytes)
    }
}
