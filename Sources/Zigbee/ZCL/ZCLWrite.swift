import Wire

/// Write Attributes, Write Attributes Undivided and Write Attributes No Response (ZCL 2.5.3,
/// 2.5.4, 2.5.6): records of {attribute u16, data type u8, value}.
extension ZCLGeneral {
    /// One record, with the value where it has one of at most eight bytes.
    private struct Record {
        var identifier: UInt16
        var type: ZCLType
        var value: UInt64?

        init(parsing reader: inout ByteReader) throws(WireError) {
            identifier = try reader.u16("attribute")
            type = ZCLType(rawValue: try reader.u8("data type"))
            if let length = type.length {
                if length <= 8 {
                    value = try ZCLGeneral.readValue(length, &reader)
                } else {
                    _ = try reader.take(length, "value")
                }
            } else {
                try type.skipValue(&reader)
            }
        }

        /// What becomes of it, in the order of ZCL 2.5.3.3: is there such an attribute, is it of
        /// this type, may it be written, may it have this value?
        func status(
            _ write: (ZCLAttribute, Bool) -> ZCLStatus, _ attributes: (UInt16) -> ZCLAttribute?,
            isRehearsal: Bool
        ) -> ZCLStatus {
            guard let attribute = attributes(identifier) else { return .unsupportedAttribute }
            guard attribute.type == type, let value else { return .invalidDataType }
            guard attribute.isWritable else { return .readOnly }
            return write(ZCLAttribute(identifier, type, value, isWritable: true), isRehearsal)
        }
    }

    /// Writes what may be written. A command that is malformed anywhere writes nothing.
    static func answerWrite(
        _ zcl: ZCLMessage, _ write: (ZCLAttribute, Bool) -> ZCLStatus,
        _ attributes: (UInt16) -> ZCLAttribute?
    ) throws(WireError) -> FrameBuffer {
        // A status that means "all is well" stands alone; else only what failed is listed.
        var failures = begin(zcl, ZCLFoundation.writeAttributesResponse)
        var isWhole = true
        var reader = ByteReader(zcl.body)
        repeat {
            let record = try Record(parsing: &reader)
            let status = record.status(write, attributes, isRehearsal: true)
            guard status != .success else { continue }
            isWhole = false
            // What does not fit is left out.
            guard failures.count + 3 <= frameLimit else { continue }
            failures.append(status.rawValue)
            failures.append(record.identifier)
        } while reader.remaining > 0
        if isWhole || zcl.header.command != ZCLFoundation.writeAttributesUndivided {
            reader = ByteReader(zcl.body)
            while reader.remaining > 0 {
                _ = try Record(parsing: &reader).status(write, attributes, isRehearsal: false)
            }
        }
        if isWhole { failures.append(ZCLStatus.success.rawValue) }
        return failures
    }
}

extension ZCLType {
    /// Reads past a string (ZCL 2.6.2.12-15). A value of any other type of variable length ends
    /// nobody knows where.
    func skipValue(_ reader: inout ByteReader) throws(WireError) {
        switch rawValue {
        case 0x41, 0x42:
            let count = try reader.u8("string length")
            if count != 0xFF { _ = try reader.take(Int(count), "string") }
        case 0x43, 0x44:
            let count = try reader.u16("string length")
            if count != 0xFFFF { _ = try reader.take(Int(count), "string") }
        default: throw WireError(.invalid, "data type", at: reader.offset - 1)
        }
    }

    /// Quantities that can be a little more or less, and so have a reportable change
    /// (ZCL 2.6.2, "analog").
    var isAnalog: Bool {
        switch rawValue {
        case 0x20...0x2F, 0x38...0x3A, 0xE0...0xE2: true
        default: false
        }
    }
}
