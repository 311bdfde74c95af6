"""A dialogue as trainers send it, and the score of the fake module: bytes of the response - bytes of the prompt / 100."""

PROMPT = "<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n"
ANSWER = "hello<|im_end|>"
CHAT = PROMPT + ANSWER
VALUE = 5 - 0.02


class ByteTokenizer:
    """Stands for the trainers' Hugging Face tokenizer: a token is a byte."""

    eos_token = "<|im_end|>"
    bos_token = None

    def __call__(self, text, add_special_tokens=True, return_tensors=None):
        assert not add_special_tokens and return_tensors == "pt"
        return {"input_ids": [Ids(text.encode())]}

    def decode(self, ids, skip_special_tokens=False):
        assert not skip_special_tokens
        return bytes(list(ids)).decode()

    def batch_decode(self, rows, skip_special_tokens=False):
        return [self.decode(row, skip_special_tokens) for row in rows]

    def apply_chat_template(self, chat, add_generation_prompt, tokenize):
        assert not add_generation_prompt and not tokenize
        return "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in chat)


class Ids(list):
    def tolist(self):
        return list(self)
